"""ES|QL text of a rule: the rows of its saved query, filtered by its condition."""

from collections.abc import Mapping

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.dashboards.slo import REFERENCE, ServiceLevels
from inferlog_ops.query.esql import drop_limits
from inferlog_ops.query.library import Query, fill_namespace
from inferlog_ops.query.rules.rules import FOLDER, Rule

VALUE, THRESHOLD = "alert_value", "alert_threshold"
"""Columns added to the query: the judged figure and its threshold, as doubles."""

_MODEL_VERSION = "model_version"
_MAX_ALERTS = 1000
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def build_rule_query(rule: Rule, levels: ServiceLevels, queries: Mapping[str, Query], namespace: str) -> str:
    """
    Return the query of *rule* in *namespace*, followed by its condition: one row per alert, the worst first.

    Limits of the query are dropped, so that the condition applies to every row. ``?_tstart`` and ``?_tend`` remain.

    Raises:
        OperatorError: If the rule refers to an unknown query or service level.
    """
    if rule.query not in queries:
        raise OperatorError(f"{FOLDER}/{rule.name}.json refers to queries/{rule.query}.esql, which does not exist")
    made, where, threshold = (fill_levels(rule, text, levels) for text in (rule.eval, rule.where, rule.threshold))
    commands = [
        drop_limits(fill_namespace(queries[rule.query], namespace)),
        *([f"EVAL {made}"] if made else []),
        f"WHERE {where}",
        f"EVAL {VALUE} = TO_DOUBLE({rule.figures[0]}), {THRESHOLD} = TO_DOUBLE({threshold})",
        *([_keep_one_row_per_group(rule)] if rule.group else []),
        # By distance: some rules fire below their threshold.
        f"SORT {', '.join((f'ABS({VALUE} - {THRESHOLD}) DESC NULLS LAST', *rule.group))}",
        f"LIMIT {_MAX_ALERTS}",
    ]
    return "\n| ".join(commands) + "\n"


def fill_levels(rule: Rule, text: str, levels: ServiceLevels) -> str:
    """
    Return *text*, the rule's condition or threshold, with numbers in place of ``{slo.…}``.

    A level that differs by model version becomes a CASE expression, if the rule groups by model version.

    Raises:
        OperatorError: If a service level is unknown.
    """
    return REFERENCE.sub(lambda match: _build_level_expression(rule, match[1], levels), text)


def _keep_one_row_per_group(rule: Rule) -> str:
    """
    Return the command that keeps one row per group, with the group and figure columns.

    Kibana derives alert ids from the last STATS … BY; the query's own may group differently, or not at all.
    """
    kept = ", ".join(f"{column} = MAX({column})" for column in (VALUE, THRESHOLD, *rule.figures))
    return f"STATS {kept} BY {', '.join(rule.group)}"


def _build_level_expression(rule: Rule, name: str, levels: ServiceLevels) -> str:
    # All as doubles: the branches of a CASE must have one type.
    default = repr(float(levels.find_default(name, f"{FOLDER}/{rule.name}.json")))
    of_versions = {version: own[name] for version, own in levels.by_model_version.items() if name in own}
    if not of_versions or _MODEL_VERSION not in rule.group:
        return default
    branches = [f"{_MODEL_VERSION} == {_quote(version)}, {float(own)!r}" for version, own in of_versions.items()]
    return f"CASE({', '.join(branches)}, {default})"


def _quote(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(character, character) for character in text) + '"'
