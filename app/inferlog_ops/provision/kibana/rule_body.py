"""The rules in the form that Kibana's alerting takes: an ES|QL rule each, whose alerts become documents of an index."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from inferlog_ops.core.streams import alerts_stream_name
from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.library import Query
from inferlog_ops.query.rules.condition import THRESHOLD, VALUE, text_of
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
    Return the body of ``POST /api/alerting/rule/<rule_id>``, which creates it.

    Raises:
        OperatorError: If the rule names a query or a service level that is not there.
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
            "esqlQuery": {"esql": _about_now(text_of(rule, levels, queries, namespace), rule)},
            "timeField": "@timestamp",
            "timeWindowSize": size,
            "timeWindowUnit": unit,
            "threshold": [0],
            "thresholdComparator": ">",
            # A row is an alert, named by the columns of the last STATS … BY. Without BY all columns would name it,
            # figures too, and each run would find an alert that is new.
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
    """Return the body of ``PUT /api/alerting/rule/<rule_id>``, which makes a rule that exists like *body*."""
    return {key: value for key, value in body.items() if key not in _CREATED_WITH_ONLY}


def connector_body(namespace: str) -> dict[str, Any]:
    """Return the body of ``POST /api/actions/connector/<CONNECTOR_ID>``: where the alerts of all rules are written."""
    return {
        "name": "inferlog alerts",
        "connector_type_id": ".index",
        "config": {"index": alerts_stream_name(namespace), "refresh": False, "executionTimeField": "@timestamp"},
        "secrets": {},
    }


def connector_update_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of ``PUT /api/actions/connector/<CONNECTOR_ID>``; a connector keeps its type."""
    return {key: value for key, value in body.items() if key != "connector_type_id"}


def _about_now(text: str, rule: Rule) -> str:
    """
    Return *text* about the time up to now.

    Older Kibanas leave ``?_tstart`` and ``?_tend`` of a rule without values (9.5 fills them in), and none would leave
    out what has not settled.
    """
    settle, reach = (int(each.total_seconds()) for each in (rule.settle, rule.settle + rule.window))
    end = f"(NOW() - {settle} seconds)" if settle else "NOW()"
    return text.replace("?_tstart", f"(NOW() - {reach} seconds)").replace("?_tend", end)


def _action(rule: Rule, connector_id: str) -> dict[str, Any]:
    return {
        "group": "query matched",
        "id": connector_id,
        # At each run while it fires, as ``inferlog alerts check --record`` does it: so the newest document of an
        # alert says whether it still fires.
        "frequency": {"summary": False, "notify_when": "onActiveAlert", "throttle": None},
        "params": {"documents": [_document(rule)]},
    }


def _document(rule: Rule) -> dict[str, Any]:
    """Return the document of an alert, its figures to be filled in by Kibana (Mustache); those arrive as text."""
    document: dict[str, Any] = {
        "rule": {"id": rule.name, "name": rule.title},
        "severity": rule.severity.value,
        "group": "{{alert.id}}" if rule.group else _ONE_ALERT,
        "value": _of_row(VALUE),
        "threshold": _of_row(THRESHOLD),
        "figures": ", ".join(f"{column} {_of_row(column)}" for column in rule.figures),
        "every_seconds": int(rule.every.total_seconds()),
        "window_seconds": int(rule.window.total_seconds()),
        "dashboard": rule.dashboard,
        "written_by": "kibana",
    }
    if "model_version" in rule.group:
        document["model_version"] = _of_row("model_version")
    return document


def _of_row(column: str) -> str:
    """Return a template of the alert's row; an alert has one."""
    return f"{{{{#context.hits}}}}{{{{_source.{column}}}}}{{{{/context.hits}}}}"


def _size_and_unit(duration: timedelta) -> tuple[int, str]:
    """Return *duration* in the largest unit of which it is a whole number."""
    unit = next(unit for unit, length in _UNITS.items() if not duration % length)
    return duration // _UNITS[unit], unit
