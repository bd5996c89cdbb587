"""The ES|QL text of a rule: its query's rows, of which those are kept that fire."""

import re
from collections.abc import Mapping

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.library import Query, text_for
from inferlog_ops.query.rules.rules import FOLDER, Rule
from inferlog_ops.query.text import without_limits

VALUE, THRESHOLD = "alert_value", "alert_threshold"
"""Columns that the text adds: the judged figure and what it is held against, as doubles."""

_LEVEL = re.compile(r"\{slo\.([a-z0-9_]+)\}")
_MODEL_VERSION = "model_version"
_MOST_ALERTS = 1000
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def text_of(rule: Rule, levels: ServiceLevels, queries: Mapping[str, Query], namespace: str) -> str:
    """
    Return the query of *rule* about *namespace* with its condition behind it: a row is an alert, the worst first.

    The condition sees every row of the query, whose limits are left out. ``?_tstart`` and ``?_tend`` are still in it.

    Raises:
        OperatorError: If the rule names a query or a service level that is not there.
    """
    if rule.query not in queries:
        raise OperatorError(f"{FOLDER}/{rule.name}.json names queries/{rule.query}.esql, which is not there")
    made, where, threshold = (with_levels(rule, text, levels) for text in (rule.eval, rule.where, rule.threshold))
    commands = [
        without_limits(text_for(queries[rule.query], namespace)),
        *([f"EVAL {made}"] if made else []),
        f"WHERE {where}",
        f"EVAL {VALUE} = TO_DOUBLE({rule.figures[0]}), {THRESHOLD} = TO_DOUBLE({threshold})",
        *([_one_row_each(rule)] if rule.group else []),
        # By the distance: some rules fire below their threshold.
        f"SORT {', '.join((f'ABS({VALUE} - {THRESHOLD}) DESC NULLS LAST', *rule.group))}",
        f"LIMIT {_MOST_ALERTS}",
    ]
    return "\n| ".join(commands) + "\n"


def with_levels(rule: Rule, text: str, levels: ServiceLevels) -> str:
    """
    Return *text*, the rule's condition or threshold, with figures in place of ``{slo.…}``.

    A level that differs for some model versions becomes a CASE over them, if the rule tells versions apart.

    Raises:
        OperatorError: If a level is not there.
    """
    return _LEVEL.sub(lambda match: _figure(rule, match[1], levels), text)


def _one_row_each(rule: Rule) -> str:
    """
    Return the command that keeps one row for each group, and of the columns the group and the figures.

    By the last STATS … BY Kibana knows which alert a row is; the query's own may be another, or none.
    """
    kept = ", ".join(f"{column} = MAX({column})" for column in (VALUE, THRESHOLD, *rule.figures))
    return f"STATS {kept} BY {', '.join(rule.group)}"


def _figure(rule: Rule, name: str, levels: ServiceLevels) -> str:
    if name not in levels.default:
        raise OperatorError(
            f"{FOLDER}/{rule.name}.json names the service level {name!r}; known are {', '.join(levels.default)}"
        )
    # All as doubles: the branches of a CASE have to be of one type.
    default = repr(float(levels.default[name]))
    of_versions = {version: own[name] for version, own in levels.by_model_version.items() if name in own}
    if not of_versions or _MODEL_VERSION not in rule.group:
        return default
    branches = [f"{_MODEL_VERSION} == {_quoted(version)}, {float(own)!r}" for version, own in of_versions.items()]
    return f"CASE({', '.join(branches)}, {default})"


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(character, character) for character in text) + '"'
