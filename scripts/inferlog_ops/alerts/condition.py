"""The ES|QL text of a rule: its query's rows, of which those are kept that fire."""

import re
from collections.abc import Mapping

from inferlog_ops.alerts.rules import FOLDER, Rule
from inferlog_ops.dashboards.slo import ServiceLevels
from inferlog_ops.errors import OperatorError
from inferlog_ops.queries.library import Query, text_for

VALUE, THRESHOLD = "alert_value", "alert_threshold"
"""Columns that the text adds: the judged figure and what it is held against, as doubles."""

_LEVEL = re.compile(r"\{slo\.([a-z0-9_]+)\}")
_MODEL_VERSION = "model_version"
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def text_of(rule: Rule, levels: ServiceLevels, queries: Mapping[str, Query], namespace: str) -> str:
    """
    Return the query of *rule* about *namespace* with its condition behind it: a row is an alert.

    ``?_tstart`` and ``?_tend`` are still in it.

    Raises:
        OperatorError: If the rule names a query or a service level that is not there.
    """
    if rule.query not in queries:
        raise OperatorError(f"{FOLDER}/{rule.name}.json names queries/{rule.query}.esql, which is not there")
    where, threshold = (with_levels(rule, text, levels) for text in (rule.where, rule.threshold))
    return (
        f"{text_for(queries[rule.query], namespace).rstrip()}\n"
        f"| WHERE {where}\n"
        f"| EVAL {VALUE} = TO_DOUBLE({rule.figures[0]}), {THRESHOLD} = TO_DOUBLE({threshold})\n"
    )


def with_levels(rule: Rule, text: str, levels: ServiceLevels) -> str:
    """
    Return *text*, the rule's condition or threshold, with figures in place of ``{slo.…}``.

    A level that differs for some model versions becomes a CASE over them, if the rule tells versions apart.

    Raises:
        OperatorError: If a level is not there.
    """
    return _LEVEL.sub(lambda match: _figure(rule, match[1], levels), text)


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
