"""The rule files in dashboards/rules: one condition each, over the columns of a saved query."""

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from inferlog_ops.core.assets import asset_dir
from inferlog_ops.core.durations import parse_duration
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.json_files import read_json
from inferlog_ops.core.naming import lookup
from inferlog_ops.query.dashboards.render import query_named

FOLDER = "dashboards/rules"

_TEXTS = ("title", "description", "severity", "query", "where", "threshold", "window", "every", "dashboard")
_LISTS = ("group", "figures")
_OPTIONAL = ("eval", "settle")
_COLUMN = re.compile(r"[A-Za-z_@][A-Za-z0-9_@.]*")
_LONGEST = timedelta(days=366)


class Severity(StrEnum):
    """How soon somebody has to look: at once, or on the same day."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    One rule as its file says it.

    Attributes:
        name: The file's name without its ending.
        title: What is wrong when it fires.
        description: What it means and where to look first.
        severity: How soon somebody has to look.
        query: Name of the saved query whose rows are judged.
        eval: ES|QL that makes further columns of the query's, ``missing = lost + dropped``; empty for none.
        where: ES|QL condition over the columns; ``{slo.error_rate}`` is a service level, here and in *eval* and
            *threshold*. A row for which it is true fires.
        threshold: ES|QL expression of what the first figure is held against, as *where* does it.
        group: Columns that tell the rows apart: one alert each. None for a query of one row.
        figures: Columns that the alert tells; the first is the one that is held against the threshold.
        window: The range that is asked about.
        settle: How long before now the range ends: what is younger may still be on its way to the store.
        every: How often it is evaluated.
        dashboard: Id of the dashboard to look at.
    """

    name: str
    title: str
    description: str
    severity: Severity
    query: str
    eval: str
    where: str
    threshold: str
    group: tuple[str, ...]
    figures: tuple[str, ...]
    window: timedelta
    settle: timedelta
    every: timedelta
    dashboard: str


def load_all() -> dict[str, Rule]:
    """
    Return all rules by name, in alphabetical order.

    Raises:
        OperatorError: If a file is no rule, or if there is none at all.
    """
    files = sorted(asset_dir(FOLDER).glob("*.json"))
    if not files:
        raise OperatorError(f"{FOLDER} holds no rule; install inferlog again")
    return {path.stem: read(path) for path in files}


def find(name: str) -> Rule:
    """
    Return the rule *name*.

    Raises:
        OperatorError: If there is none of that name; says which is nearest.
    """
    return lookup(name, load_all(), kind="rule", otherwise="inferlog alerts list names them all")


def read(path: Path) -> Rule:
    """
    Read one file.

    Raises:
        OperatorError: If it is no rule; says what was found and what was wanted.
    """
    where = f"{FOLDER}/{path.name}"
    table = _table(path, where)
    query = query_named(table["query"])
    if query is None:
        raise OperatorError(f"{where}: query is {table['query']!r}; expected a file such as queries/error_rate.esql")
    if table["severity"] not in list(Severity):
        raise OperatorError(f"{where}: severity is {table['severity']!r}; expected {' or '.join(Severity)}")
    if not table["figures"]:
        raise OperatorError(f"{where}: figures names no column; expected at least the one that is judged")
    return Rule(
        name=path.stem,
        title=table["title"],
        description=table["description"],
        severity=Severity(table["severity"]),
        query=query,
        eval=table.get("eval", ""),
        where=table["where"],
        threshold=table["threshold"],
        group=tuple(table["group"]),
        figures=tuple(table["figures"]),
        window=_duration(where, "window", table["window"]),
        settle=_duration(where, "settle", table["settle"]) if "settle" in table else timedelta(),
        every=_duration(where, "every", table["every"]),
        dashboard=table["dashboard"],
    )


def _table(path: Path, where: str) -> dict[str, Any]:
    table = read_json(path, where)
    if not isinstance(table, dict):
        raise OperatorError(f"{where} holds no JSON object; expected one with {', '.join((*_TEXTS, *_LISTS))}")
    if unknown := table.keys() - {*_TEXTS, *_LISTS, *_OPTIONAL}:
        raise OperatorError(f"{where}: {min(unknown)} is none of a rule's keys, which are {_keys()}")
    for key in (*_TEXTS, *_OPTIONAL):
        if (key in table or key in _TEXTS) and not (isinstance(table.get(key), str) and table[key]):
            raise OperatorError(f"{where}: {key} is {json.dumps(table.get(key))}; expected text")
    for key in _LISTS:
        columns = table.get(key)
        if not isinstance(columns, list) or not all(
            isinstance(each, str) and _COLUMN.fullmatch(each) for each in columns
        ):
            raise OperatorError(f"{where}: {key} is {json.dumps(columns)}; expected a list of the query's columns")
    return table


def _keys() -> str:
    return ", ".join((*_TEXTS, *_LISTS, *_OPTIONAL))


def _duration(where: str, key: str, text: str) -> timedelta:
    try:
        duration = parse_duration(text)
    except OperatorError as error:
        raise OperatorError(f"{where}: {key}: {error}") from error
    if duration > _LONGEST:
        raise OperatorError(f"{where}: {key} is {text!r}; expected at most {_LONGEST.days} days")
    if duration % timedelta(seconds=1):
        raise OperatorError(f"{where}: {key} is {text!r}; expected whole seconds")
    return duration
