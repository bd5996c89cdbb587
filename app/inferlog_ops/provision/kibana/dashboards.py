"""Dashboards as saved objects, the format that every Kibana since 8.12 imports and newer ones migrate upwards."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import orjson

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.kibana.identity import build_object_id, qualify_title, replace_ids
from inferlog_ops.provision.kibana.lens.panels import (
    PanelContext,
    SavedPanel,
    build_panel,
    build_query_list,
    build_text,
)
from inferlog_ops.provision.kibana.saved_objects import SavedObject
from inferlog_ops.query.dashboards.files import Dashboard
from inferlog_ops.query.dashboards.panels import list_panels
from inferlog_ops.query.dashboards.render import fill_levels
from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.library import Query

KIND = "dashboard"

_MIGRATION_VERSION = "8.9.0"
_COLUMNS = 48
_HEADING_ROWS = 3
_LIST_MARGIN_ROWS = 2
_NO_QUERY = {"query": "", "language": "kuery"}


def build_dashboard(
    dashboard: Dashboard,
    levels: ServiceLevels,
    queries: Mapping[str, Query],
    namespace: str,
    bases: Collection[str],
    *,
    has_time_parameters: bool,
) -> SavedObject:
    """
    Return *dashboard* as a saved object for *namespace*.

    Args:
        dashboard: The dashboard's file.
        levels: Service levels, for colours and texts.
        queries: The queries by name.
        namespace: Namespace of the events.
        bases: Ids of all objects that the dashboard can refer to, in the namespace "default".
        has_time_parameters: Whether this Kibana knows ``?_tstart`` in ES|QL, as 8.16 and newer do.

    Raises:
        OperatorError: If the file refers to a missing query or service level, or if a panel has no form in Lens.
    """
    body = replace_ids(namespace, fill_levels(dashboard, levels), bases)
    context = PanelContext(
        queries=queries,
        namespace=namespace,
        find_id=lambda base: build_object_id(base, namespace),
        has_time_parameters=has_time_parameters,
    )
    dashboard_id = build_object_id(dashboard.id, namespace)
    try:
        saved = _place_panels(dashboard_id, body, context)
    except OperatorError as error:
        raise OperatorError(f"{dashboard.path.name}: {error}") from error
    except KeyError as missing:
        raise OperatorError(f"{dashboard.path.name}: a panel lacks the key {missing}") from missing
    controls, control_references = _build_controls(body.get("pinned_panels", []))
    return SavedObject(
        type=KIND,
        id=dashboard_id,
        attributes={
            "title": qualify_title(dashboard.title, namespace),
            "description": body.get("description", ""),
            **_convert_time_settings(body),
            "optionsJSON": _dump(_convert_options(body.get("options", {}))),
            "panelsJSON": _dump([panel.content for panel in saved]),
            **({"controlGroupInput": controls} if control_references else {}),
            "kibanaSavedObjectMeta": {"searchSourceJSON": _dump({"query": _NO_QUERY, "filter": []})},
            "version": 1,
        },
        references=(*(reference for panel in saved for reference in panel.references), *control_references),
        type_migration_version=_MIGRATION_VERSION,
    )


def build_panel_index(dashboard_id: str, panel_id: str) -> str:
    """
    Return the id of a panel in Kibana.

    Unique over all dashboards: on the way from one to another, Kibana 8.12 keeps drawing a panel whose id both have.
    """
    return f"{dashboard_id}-{panel_id}"


def _place_panels(dashboard_id: str, body: dict[str, Any], context: PanelContext) -> list[SavedPanel]:
    """Return all panels with their places; sections, which 8.x does not have, become headings in the same order."""
    of_each = (replace(panel, id=build_panel_index(dashboard_id, panel.id)) for panel in list_panels(body))
    placed: list[SavedPanel] = []
    bottom = 0
    for item in body["panels"]:
        if "type" in item:
            placed.append(_place(build_panel(next(of_each), context), item["grid"]))
            bottom = max(bottom, item["grid"]["y"] + item["grid"]["h"])
            continue
        heading = build_text(build_panel_index(dashboard_id, f"section-{item['id']}"), f"## {item['title']}")
        placed.append(_place(heading, {"x": 0, "y": bottom, "w": _COLUMNS, "h": _HEADING_ROWS}))
        bottom += _HEADING_ROWS
        inside = [next(of_each) for _ in item["panels"]]
        if not context.has_time_parameters and all(panel.type == "discover_session" for panel in inside):
            grid = {"x": 0, "y": bottom, "w": _COLUMNS, "h": len(inside) + _LIST_MARGIN_ROWS}
            placed.append(_place(build_query_list(build_panel_index(dashboard_id, f"list-{item['id']}"), inside), grid))
            bottom += grid["h"]
            continue
        top = bottom
        for panel, inner in zip(inside, item["panels"], strict=True):
            grid = {**inner["grid"], "y": inner["grid"]["y"] + top}
            placed.append(_place(build_panel(panel, context), grid))
            bottom = max(bottom, grid["y"] + grid["h"])
    return placed


def _place(panel: SavedPanel, grid: Mapping[str, int]) -> SavedPanel:
    place = {**grid, "i": panel.content["panelIndex"]}
    return SavedPanel(content={**panel.content, "gridData": place}, references=panel.references)


def _convert_time_settings(body: dict[str, Any]) -> dict[str, Any]:
    if "time_range" not in body:
        return {"timeRestore": False}
    refresh = body.get("refresh_interval", {"pause": True, "value": 60_000})
    return {
        "timeRestore": True,
        "timeFrom": body["time_range"]["from"],
        "timeTo": body["time_range"]["to"],
        "refreshInterval": {"pause": refresh["pause"], "value": refresh["value"]},
    }


def _convert_options(options: Mapping[str, bool]) -> dict[str, bool]:
    return {
        "useMargins": options.get("use_margins", True),
        "syncColors": options.get("sync_colors", False),
        "syncCursor": options.get("sync_cursor", True),
        "syncTooltips": options.get("sync_tooltips", False),
        "hidePanelTitles": options.get("hide_panel_titles", False),
    }


def _build_controls(pinned: list[dict[str, Any]]) -> tuple[dict[str, Any], tuple[dict[str, str], ...]]:
    controls = {control["id"]: _build_control(control, order) for order, control in enumerate(pinned)}
    references = tuple(
        {
            "name": f"controlGroup_{control['id']}:optionsListDataView",
            "type": "index-pattern",
            "id": control["config"]["data_view_id"],
        }
        for control in pinned
    )
    ignored = dict.fromkeys(("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations"), False)
    group = {
        "controlStyle": "oneLine",
        "chainingSystem": "HIERARCHICAL",
        "ignoreParentSettingsJSON": _dump(ignored),
        "panelsJSON": _dump(controls),
    }
    return group, references


def _build_control(control: Mapping[str, Any], order: int) -> dict[str, Any]:
    config = control["config"]
    technique = {"searchTechnique": config["search_technique"]} if "search_technique" in config else {}
    return {
        "order": order,
        "width": control.get("width", "medium"),
        "grow": control.get("grow", False),
        "type": "optionsListControl",
        "explicitInput": {
            "id": control["id"],
            "fieldName": config["field_name"],
            "title": config.get("title", config["field_name"]),
            "singleSelect": config.get("single_select", False),
            "selectedOptions": [],
            "enhancements": {},
            **technique,
        },
    }


def _dump(value: Any) -> str:
    return orjson.dumps(value).decode()
