"""Schemas of the bodies that Kibana accepts, from its documentation and source, for the stand-in."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

_ANY: dict[str, Any] = {}
_TEXT = {"type": "string", "minLength": 1}
_FLAG = {"type": "boolean"}


def _closed(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


_TIME_RANGE = _closed({"from": _TEXT, "to": _TEXT})
_FIELDS = {
    "type": "object",
    "additionalProperties": _closed(
        {}, {"customLabel": _TEXT, "customDescription": {**_TEXT, "maxLength": 300}, "count": {"type": "number"}}
    ),
}
_DATA_VIEW_UPDATE = {
    "title": _TEXT,
    "name": _TEXT,
    "timeFieldName": _TEXT,
    "allowNoIndex": _FLAG,
    "sourceFilters": _ANY,
    "fieldFormats": _ANY,
    "runtimeFieldMap": _ANY,
}
_ES_QUERY = _closed(
    {
        "searchType": {"const": "esqlQuery"},
        "esqlQuery": _closed({"esql": _TEXT}),
        "timeField": _TEXT,
        "size": {"type": "integer", "minimum": 0, "maximum": 10_000},
        "timeWindowSize": {"type": "integer", "minimum": 1},
        "timeWindowUnit": {"enum": ["s", "m", "h", "d"]},
        "threshold": {"const": [0]},
        "thresholdComparator": {"const": ">"},
    },
    {
        "groupBy": {"enum": ["all", "row"]},
        "aggType": {"enum": ["count"]},
        "excludeHitsFromPreviousRun": _FLAG,
    },
)
_ACTION = _closed(
    {
        "group": {"const": "query matched"},
        "id": _TEXT,
        "params": _closed({"documents": {"type": "array", "items": {"type": "object"}}}),
    },
    {
        "frequency": _closed(
            {
                "summary": _FLAG,
                "notify_when": {"enum": ["onActionGroupChange", "onActiveAlert", "onThrottleInterval"]},
                "throttle": {"type": ["string", "null"]},
            }
        )
    },
)
_RULE_REQUIRED = {"name": _TEXT, "schedule": _closed({"interval": {"pattern": "^[0-9]+[smhd]$"}}), "params": _ES_QUERY}
_RULE_OPTIONAL = {
    "actions": {"type": "array", "items": _ACTION},
    "tags": {"type": "array", "items": _TEXT},
    "alert_delay": _closed({"active": {"type": "integer"}}),
    "flapping": _ANY,
    "artifacts": _closed(
        {},
        {
            "dashboards": {"type": "array", "maxItems": 10, "items": _closed({"id": _TEXT})},
            "investigation_guide": _closed({"blob": _TEXT}),
        },
    ),
}
_INDEX = _closed({"index": _TEXT}, {"refresh": _FLAG, "executionTimeField": {"type": ["string", "null"]}})
_SEARCH_SETTINGS = {
    "columns": {"type": "array"},
    "sort": {"type": "array"},
    "grid": {"type": "object"},
    "hideChart": _FLAG,
    "isTextBasedQuery": _FLAG,
    "usesAdHocDataView": _FLAG,
    "timeRestore": _FLAG,
    "timeRange": _TIME_RANGE,
}
_SEARCH_META = {"kibanaSavedObjectMeta": _closed({"searchSourceJSON": _TEXT})}
_TAB = _closed({"id": _TEXT, "label": _TEXT, "attributes": _closed(_SEARCH_META, _SEARCH_SETTINGS)})

DATA_VIEW = _closed(
    {
        "data_view": _closed(
            {"title": _TEXT}, {**_DATA_VIEW_UPDATE, "id": _TEXT, "fieldAttrs": _FIELDS, "allowHidden": _FLAG}
        )
    },
    {"override": _FLAG, "refresh_fields": _FLAG},
)
DATA_VIEW_UPDATE = _closed({"data_view": _closed({}, _DATA_VIEW_UPDATE)}, {"refresh_fields": _FLAG})
DATA_VIEW_FIELDS = _closed({"fields": {**_FIELDS, "minProperties": 1}})
CONNECTOR = _closed(
    {"name": _TEXT, "connector_type_id": {"const": ".index"}}, {"config": _INDEX, "secrets": _closed({})}
)
CONNECTOR_UPDATE = _closed({"name": _TEXT}, {"config": _INDEX, "secrets": _closed({})})
RULE = _closed(
    {**_RULE_REQUIRED, "consumer": {"enum": ["stackAlerts", "alerts"]}, "rule_type_id": {"const": ".es-query"}},
    {**_RULE_OPTIONAL, "enabled": _FLAG},
)
RULE_UPDATE = _closed(_RULE_REQUIRED, _RULE_OPTIONAL)
EXPORT = _closed(
    {"objects": {"type": "array", "minItems": 1, "items": _closed({"type": _TEXT, "id": _TEXT})}},
    {"includeReferencesDeep": _FLAG, "excludeExportDetails": _FLAG},
)
SEARCH = _closed(
    {"title": _TEXT, **_SEARCH_META},
    {
        "description": {"type": "string"},
        **_SEARCH_SETTINGS,
        "tabs": {"type": "array", "minItems": 1, "items": _TAB},
    },
)

_DASHBOARD = Draft202012Validator(json.loads((Path(__file__).parents[1] / "kibana/dashboard.schema.json").read_text()))


def fault(schema: dict[str, Any], body: Any, root: str = "request body") -> str | None:
    """Return Kibana's error message for *body*; None if it is valid."""
    error = best_match(Draft202012Validator(schema).iter_errors(body))
    return None if error is None else f"[{'.'.join([root, *map(str, error.absolute_path)])}]: {error.message}"


def dashboard_fault(body: Any) -> tuple[str | None, list[dict[str, Any]]]:
    """Return the errors of a dashboard: a message about the whole, or panel errors if all are within panels."""
    errors = list(_DASHBOARD.iter_errors(body))
    if not errors:
        return None, []
    panels = [_panel(body, list(error.absolute_path)) for error in errors]
    within = [panel for panel in panels if panel]
    if len(within) == len(panels):
        return None, [
            {"message": best_match([error]).message, "panel_type": panel["type"], "panel_config": panel.get("config")}
            for panel, error in zip(within, errors, strict=True)
        ]
    first = next(error for error, panel in zip(errors, panels, strict=True) if not panel)
    return f"[{'.'.join(['request body', *map(str, first.absolute_path)])}]: {first.message}", []


def _panel(body: Any, path: list[Any]) -> dict[str, Any] | None:
    """Return the panel that *path* leads into, if it leads into one."""
    if len(path) < 2 or path[0] != "panels":
        return None
    item: dict[str, Any] = body["panels"][path[1]]
    if "type" not in item:
        return item["panels"][path[3]] if len(path) > 3 else None
    return item
