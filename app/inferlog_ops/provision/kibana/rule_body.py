"""Rules as bodies of Kibana's alerting API: ES|QL rules whose alerts become documents of an index."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from inferlog_ops.core.streams import alerts_stream_name
from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.library import Query
from inferlog_ops.query.rules.condition import THRESHOLD, VALUE, build_rule_query
from inferlog_ops.query.rules.rules import Rule

CONNECTOR_ID = "inferlog-alerts"

_CREATED_WITH_ONLY = ("consumer", "rule_type_id", "enabled")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
_ONE_ALERT = "(all)"


def rule_id(rule: Rule) -> str:
    """Return the id of *rule* in Kibana."""
    return f"inferlog-{rule.name.replace('_', '-')}"


def rule_body(
    rule: Rule, levels: ServiceLevels, queries: Mapping[str, Query], namespace: str, connector_id: str = CONNECTOR_ID
) -> dict[str, Any]:
    """
    Return the body of ``POST /api/alerting/rule/<rule_id>``, which creates the rule.

    Raises:
        OperatorError: If the rule refers to a missing query or service level.
    """
    size, unit = _size_and_unit(rule.window + rule.settle)
    return {
        "name": f"inferlog: {rule.title}",
        "consumer": "stackAlerts",
        "rule_type_id": ".es-query",
        "enabled": True,
        "tags": ["inferlog", rule.severity.value],
        "schedule": {"interval": "{}{}".format(*_size_and_unit(rule.every))},
        "params": {
            "searchType": "esqlQuery",
            "esqlQuery": {"esql": _set_time_range(build_rule_query(rule, levels, queries, namespace), rule)},
            "timeField": "@timestamp",
            "timeWindowSize": size,
            "timeWindowUnit": unit,
            "threshold": [0],
            "thresholdComparator": ">",
            # Each row is an alert, identified by the columns of the last STATS … BY. Without BY, all columns would
            # identify it, including figures, and each run would find a new alert.
            "groupBy": "row" if rule.group else "all",
            "aggType": "count",
            "size": 100,
            "excludeHitsFromPreviousRun": False,
        },
        "actions": [_action(rule, connector_id)],
        "artifacts": {
            "dashboards": [{"id": rule.dashboard}],
            "investigation_guide": {"blob": rule.description},
        },
    }


def update_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of ``PUT /api/alerting/rule/<rule_id>``, which updates an existing rule to *body*."""
    return {key: value for key, value in body.items() if key not in _CREATED_WITH_ONLY}


def connector_body(namespace: str) -> dict[str, Any]:
    """Return the body of ``POST /api/actions/connector/<CONNECTOR_ID>``: the destination of all alerts."""
    return {
        "name": "inferlog alerts",
        "connector_type_id": ".index",
        "config": {"index": alerts_stream_name(namespace), "refresh": False, "executionTimeField": "@timestamp"},
        "secrets": {},
    }


def connector_update_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of ``PUT /api/actions/connector/<CONNECTOR_ID>``; the type of a connector cannot change."""
    return {key: value for key, value in body.items() if key != "connector_type_id"}


def _set_time_range(text: str, rule: Rule) -> str:
    """
    Return *text* with its time range ending now, minus the rule's settle time.

    Older versions of Kibana do not set ``?_tstart`` and ``?_tend`` of a rule (9.5 does), and no version excludes
    unsettled events.
    """
    settle, reach = (int(each.total_seconds()) for each in (rule.settle, rule.settle + rule.window))
    end = f"(NOW() - {settle} seconds)" if settle else "NOW()"
    return text.replace("?_tstart", f"(NOW() - {reach} seconds)").replace("?_tend", end)


def _action(rule: Rule, connector_id: str) -> dict[str, Any]:
    return {
        "group": "query matched",
        "id": connector_id,
        # At each run while it fires, like ``inferlog alerts check --record``: the newest document of an alert shows
        # whether it still fires.
        "frequency": {"summary": False, "notify_when": "onActiveAlert", "throttle": None},
        "params": {"documents": [_document(rule)]},
    }


def _document(rule: Rule) -> dict[str, Any]:
    """Return the document of an alert, with Mustache templates that Kibana fills in as text."""
    document: dict[str, Any] = {
        "rule": {"id": rule.name, "name": rule.title},
        "severity": rule.severity.value,
        "group": "{{alert.id}}" if rule.group else _ONE_ALERT,
        "value": _row_template(VALUE),
        "threshold": _row_template(THRESHOLD),
        "figures": ", ".join(f"{column} {_row_template(column)}" for column in rule.figures),
        "every_seconds": int(rule.every.total_seconds()),
        "window_seconds": int(rule.window.total_seconds()),
        "dashboard": rule.dashboard,
        "written_by": "kibana",
    }
    if "model_version" in rule.group:
        document["model_version"] = _row_template("model_version")
    return document


def _row_template(column: str) -> str:
    """Return the Mustache template of *column* in the alert's row."""
    return f"{{{{#context.hits}}}}{{{{_source.{column}}}}}{{{{/context.hits}}}}"


def _size_and_unit(duration: timedelta) -> tuple[int, str]:
    """Return *duration* as a whole number in the largest possible unit."""
    unit = next(unit for unit, length in _UNITS.items() if not duration % length)
    return duration // _UNITS[unit], unit
