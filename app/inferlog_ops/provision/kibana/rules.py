"""Alert rules and their connector as bodies of Kibana's API: ES|QL rules whose alerts become documents of an index."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from inferlog_ops.core.streams import build_alerts_stream_name
from inferlog_ops.provision.desired import DesiredObject, Request, Stamp
from inferlog_ops.provision.kibana.capabilities import Capabilities
from inferlog_ops.provision.kibana.identity import (
    OTHER_SPACE,
    WAY_OUT,
    build_object_id,
    build_object_uuid,
    format_mark,
    parse_mark,
    qualify_title,
    replace_ids,
)
from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.library import Query
from inferlog_ops.query.rules.alerts import ONE_GROUP
from inferlog_ops.query.rules.condition import THRESHOLD, VALUE, build_rule_query
from inferlog_ops.query.rules.rules import FOLDER, Rule

CONNECTOR = "inferlog-alerts"
CONNECTOR_API = "/api/actions/connector"
RULE_API = "/api/alerting/rule"

_GROUP, _FIGURES = "alert_group", "alert_figures"
_CREATED_WITH_ONLY = ("consumer", "rule_type_id", "enabled")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
_ADVICE = {
    409: OTHER_SPACE,
    500: "connectors and rules require xpack.encryptedSavedObjects.encryptionKey to be set in kibana.yml",
}


def build_rule_name(rule: Rule) -> str:
    """Return the readable name of *rule* in Kibana for the namespace "default"."""
    return f"inferlog-{rule.name.replace('_', '-')}"


def build_connector(namespace: str) -> DesiredObject:
    """
    Return the connector for *namespace*: the destination of all alerts.

    A connector has no text for a mark, but Kibana returns it unchanged. So its content is compared, and it is ours if
    it writes alerts to an index of inferlog.
    """
    name, source = build_object_id(CONNECTOR, namespace), "the connector of all rules"
    path = f"{CONNECTOR_API}/{build_connector_id(namespace)}"
    content = {
        "name": qualify_title("inferlog alerts", namespace),
        "config": {"index": build_alerts_stream_name(namespace), "refresh": False, "executionTimeField": "@timestamp"},
    }

    def find_stamp(answer: Any) -> Stamp | None:
        config = answer.get("config") or {}
        if answer["connector_type_id"] != ".index" or not str(config.get("index")).startswith(f"{CONNECTOR}-"):
            return None
        return Stamp.from_content(
            source, {"name": answer["name"], "config": {key: config.get(key) for key in content["config"]}}
        )

    return DesiredObject(
        kind="connector",
        name=name,
        stamp=Stamp.from_content(source, content),
        read=Request(method="GET", path=path),
        find_stamp=find_stamp,
        create=Request(method="POST", path=path, body={**content, "connector_type_id": ".index", "secrets": {}}),
        update=lambda: (Request(method="PUT", path=path, body={**content, "secrets": {}}),),
        way_out=WAY_OUT,
        advice=_ADVICE,
    )


def build_connector_id(namespace: str) -> str:
    return build_object_uuid("connector", build_object_id(CONNECTOR, namespace))


def build_rule(
    rule: Rule,
    levels: ServiceLevels,
    queries: Mapping[str, Query],
    namespace: str,
    bases: Collection[str],
    *,
    capabilities: Capabilities,
) -> DesiredObject:
    """
    Return *rule* for *namespace*; *bases* are the ids of all saved objects that it can refer to.

    An update keeps the state enabled or disabled, which users set in Kibana.

    Raises:
        OperatorError: If the rule refers to a missing query or service level.
    """
    name, source = build_object_id(build_rule_name(rule), namespace), f"{FOLDER}/{rule.name}.json"
    path = f"{RULE_API}/{build_object_uuid('rule', name)}"
    connector = build_connector_id(namespace)
    written = build_rule_body(rule, levels, queries, namespace, connector=connector, capabilities=capabilities)
    body: dict[str, Any] = replace_ids(namespace, written, bases)
    body["name"] = qualify_title(body["name"], namespace)
    stamp = Stamp.from_content(source, body)
    body["tags"] = [*body["tags"], format_mark(stamp)]
    return DesiredObject(
        kind="rule",
        name=name,
        stamp=stamp,
        read=Request(method="GET", path=path),
        find_stamp=lambda answer: parse_mark(" ".join(answer.get("tags") or [])),
        create=Request(method="POST", path=path, body=body),
        update=lambda: (Request(method="PUT", path=path, body=update_of(body)),),
        way_out=WAY_OUT,
        advice=_ADVICE,
    )


def build_rule_body(
    rule: Rule,
    levels: ServiceLevels,
    queries: Mapping[str, Query],
    namespace: str,
    *,
    connector: str,
    capabilities: Capabilities,
) -> dict[str, Any]:
    """
    Return the body of ``POST /api/alerting/rule/<id>``, which creates the rule.

    Raises:
        OperatorError: If the rule refers to a missing query or service level.
    """
    size, unit = _split_duration(rule.window + rule.settle)
    text = _set_time_range(build_rule_query(rule, levels, queries, namespace), rule)
    is_by_row = bool(rule.group) and capabilities.alerts_by_row
    if rule.group and not is_by_row:
        text = f"{text}{_fold_rows(rule)}"
    artifacts = {
        "dashboards": [{"id": rule.dashboard}],
        "investigation_guide": {"blob": rule.description},
    }
    return {
        "name": f"inferlog: {rule.title}",
        "consumer": "stackAlerts",
        "rule_type_id": ".es-query",
        "enabled": True,
        "tags": ["inferlog", rule.severity.value],
        "schedule": {"interval": "{}{}".format(*_split_duration(rule.every))},
        "params": {
            "searchType": "esqlQuery",
            "esqlQuery": {"esql": text},
            "timeField": "@timestamp",
            "timeWindowSize": size,
            "timeWindowUnit": unit,
            "threshold": [0],
            "thresholdComparator": ">",
            # Each row is an alert, identified by the columns of the last STATS … BY. Without BY, all columns would
            # identify it, including figures, and each run would find a new alert.
            "groupBy": "row" if is_by_row else "all",
            "aggType": "count",
            "size": 100,
            "excludeHitsFromPreviousRun": False,
        },
        "actions": [_build_action(rule, connector, is_by_row=is_by_row)],
        **({"artifacts": artifacts} if capabilities.takes_artifacts else {}),
    }


def update_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of ``PUT /api/alerting/rule/<id>``, which updates an existing rule to *body*."""
    return {key: value for key, value in body.items() if key not in _CREATED_WITH_ONLY}


def _set_time_range(text: str, rule: Rule) -> str:
    """
    Return *text* with its time range ending now, minus the rule's settle time.

    Older versions of Kibana do not set ``?_tstart`` and ``?_tend`` of a rule, and no version excludes unsettled events.
    """
    settle, reach = (int(each.total_seconds()) for each in (rule.settle, rule.settle + rule.window))
    end = f"(NOW() - {settle} seconds)" if settle else "NOW()"
    return text.replace("?_tstart", f"(NOW() - {reach} seconds)").replace("?_tend", end)


def _fold_rows(rule: Rule) -> str:
    """
    Return commands that fold the rows of all groups into one.

    Where Kibana makes one alert of all rows, this row has the names of all groups and the figures of each. Its value
    is that of a single group; the values of several groups are among the figures.
    """
    group = ', ",", '.join(_convert_to_text(column) for column in rule.group)
    figures = ', ", ", '.join(f'"{column} ", {_convert_to_text(column)}' for column in rule.figures)
    joined = ["all_figures", _GROUP, *(column for column in rule.group if column == "model_version")]
    folded = [
        "groups = COUNT(*)",
        *(f"{column} = MAX({column})" for column in (VALUE, THRESHOLD, _FIGURES)),
        f"low = MIN({THRESHOLD})",
        *(f'{column} = MV_CONCAT(MV_SORT(VALUES({column})), "; ")' for column in joined),
    ]
    commands = [
        f'EVAL {_GROUP} = CONCAT({group}, ""), {_FIGURES} = CONCAT({figures})',
        f'EVAL all_figures = CONCAT({_GROUP}, ": ", {_FIGURES})',
        f"STATS {', '.join(folded)}",
        "WHERE groups > 0",
        f"EVAL {VALUE} = CASE(groups == 1, {VALUE}), {_FIGURES} = CASE(groups == 1, {_FIGURES}, all_figures)",
        f"EVAL {THRESHOLD} = CASE(low == {THRESHOLD}, {THRESHOLD})",
    ]
    return "".join(f"| {command}\n" for command in commands)


def _convert_to_text(column: str) -> str:
    return f'COALESCE(TO_STRING({column}), "-")'


def _build_action(rule: Rule, connector: str, *, is_by_row: bool) -> dict[str, Any]:
    return {
        "group": "query matched",
        "id": connector,
        # At each run while it fires, like ``inferlog alerts check --record``: the newest document of an alert shows
        # whether it still fires.
        "frequency": {"summary": False, "notify_when": "onActiveAlert", "throttle": None},
        "params": {"documents": [_build_document(rule, is_by_row=is_by_row)]},
    }


def _build_document(rule: Rule, *, is_by_row: bool) -> dict[str, Any]:
    """Return the document of an alert, with Mustache templates that Kibana fills in as text."""
    is_folded = bool(rule.group) and not is_by_row
    group = "{{alert.id}}" if is_by_row else ONE_GROUP
    figures = ", ".join(f"{column} {_build_row_template(column)}" for column in rule.figures)
    document: dict[str, Any] = {
        "rule": {"id": rule.name, "name": rule.title},
        "severity": rule.severity.value,
        "group": _build_row_template(_GROUP) if is_folded else group,
        "value": _build_row_template(VALUE),
        "threshold": _build_row_template(THRESHOLD),
        "figures": _build_row_template(_FIGURES) if is_folded else figures,
        "every_seconds": int(rule.every.total_seconds()),
        "window_seconds": int(rule.window.total_seconds()),
        "dashboard": rule.dashboard,
        "written_by": "kibana",
    }
    if "model_version" in rule.group:
        document["model_version"] = _build_row_template("model_version")
    return document


def _build_row_template(column: str) -> str:
    """Return the Mustache template of *column* in the alert's only row."""
    return f"{{{{#context.hits}}}}{{{{_source.{column}}}}}{{{{/context.hits}}}}"


def _split_duration(duration: timedelta) -> tuple[int, str]:
    """Return *duration* as a whole number in the largest possible unit."""
    unit = next(unit for unit, length in _UNITS.items() if not duration % length)
    return duration // _UNITS[unit], unit
