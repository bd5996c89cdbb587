"""Rule files of dashboards/rules: one condition each, over the columns of a saved query."""

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.durations import parse_duration
from inferlog_ops.core.errors import OperatorError, lookup
from inferlog_ops.core.files import read_json
from inferlog_ops.query.dashboards.render import parse_query_name

FOLDER = "dashboards/rules"

_TEXTS = ("title", "description", "severity", "query", "where", "threshold", "window", "every", "dashboard")
_LISTS = ("group", "figures")
_OPTIONAL = ("eval", "settle")
_COLUMN = re.compile(r"[A-Za-z_@][A-Za-z0-9_@.]*")
_MAX_DURATION = timedelta(days=366)


class Severity(StrEnum):
    """Urgency of an alert: immediate, or on the same day."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    One rule, as in its file.

    Attributes:
        name: File name without suffix.
        title: The problem that the alert reports.
        description: Meaning, and the first step of an investigation.
        severity: Urgency.
        query: Name of the saved query.
        eval: ES|QL that adds columns, such as ``missing = lost + dropped``; may be empty.
        where: ES|QL condition over the columns; ``{slo.error_rate}`` is a service level, here and in *eval* and
            *threshold*. A row fires if it is true.
        threshold: ES|QL expression that *where* compares the first figure with.
        group: Columns that identify a row: one alert per group. Empty for a query with one row.
        figures: Columns reported in the alert; the first is compared with the threshold.
        window: Length of the evaluated range.
        settle: Delay of the end of the range before now: younger events may not be indexed yet.
        every: Interval between evaluations.
        dashboard: Id of the related dashboard.
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
        OperatorError: If a file is not a valid rule, or if there are no files.
    """
    files = sorted(find_asset_dir(FOLDER).glob("*.json"))
    if not files:
        raise OperatorError(f"{FOLDER} contains no rule; reinstall inferlog")
    return {path.stem: read(path) for path in files}


def find(name: str) -> Rule:
    """
    Return the rule *name*.

    Raises:
        OperatorError: If there is no rule of that name, with the nearest name.
    """
    return lookup(name, load_all(), kind="rule", otherwise="inferlog alerts list lists all of them")


def read(path: Path) -> Rule:
    """
    Read one file.

    Raises:
        OperatorError: If it is not a valid rule, with the found and the expected value.
    """
    where = f"{FOLDER}/{path.name}"
    table = _read_table(path, where)
    query = parse_query_name(table["query"])
    if query is None:
        raise OperatorError(f"{where}: query is {table['query']!r}; expected a file such as queries/error_rate.esql")
    if table["severity"] not in list(Severity):
        raise OperatorError(f"{where}: severity is {table['severity']!r}; expected {' or '.join(Severity)}")
    if not table["figures"]:
        raise OperatorError(f"{where}: figures is empty; expected at least the judged column")
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
        window=_parse_duration(where, "window", table["window"]),
        settle=_parse_duration(where, "settle", table["settle"]) if "settle" in table else timedelta(),
        every=_parse_duration(where, "every", table["every"]),
        dashboard=table["dashboard"],
    )


def _read_table(path: Path, where: str) -> dict[str, Any]:
    table = read_json(path, where)
    if not isinstance(table, dict):
        raise OperatorError(f"{where} is not a JSON object; expected an object with {', '.join((*_TEXTS, *_LISTS))}")
    if unknown := table.keys() - {*_TEXTS, *_LISTS, *_OPTIONAL}:
        raise OperatorError(f"{where}: {min(unknown)} is not a key of a rule; expected one of {_list_keys()}")
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


def _list_keys() -> str:
    return ", ".join((*_TEXTS, *_LISTS, *_OPTIONAL))


def _parse_duration(where: str, key: str, text: str) -> timedelta:
    try:
        duration = parse_duration(text)
    except OperatorError as error:
        raise OperatorError(f"{where}: {key}: {error}") from error
    if duration > _MAX_DURATION:
        raise OperatorError(f"{where}: {key} is {text!r}; expected at most {_MAX_DURATION.days} days")
    if duration % timedelta(seconds=1):
        raise OperatorError(f"{where}: {key} is {text!r}; expected whole seconds")
    return duration
