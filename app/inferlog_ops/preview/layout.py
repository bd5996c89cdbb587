"""Dashboards in the page's format: panels and sections, each panel with the text of its queries."""

from collections.abc import Mapping
from typing import Any

from inferlog_ops.preview import markdown
from inferlog_ops.preview.controls import list_controls
from inferlog_ops.query.dashboards import files, slo
from inferlog_ops.query.dashboards.panels import Panel, list_panels
from inferlog_ops.query.dashboards.render import fill_levels
from inferlog_ops.query.library import Query, fill_namespace, restrict_columns

_OF_THE_DASHBOARD = ("title", "description", "time_range", "refresh_interval", "options")


def list_dashboards() -> list[dict[str, str]]:
    """Return id, title and description of each dashboard, the landing page first."""
    return [
        {"id": each.id, "title": each.title, "description": str(each.body.get("description", ""))}
        for each in files.load_all().values()
    ]


def load_body(dashboard_id: str) -> dict[str, Any] | None:
    """Return the dashboard's file with the values of the service levels; None if there is no such file."""
    dashboard = files.load_all().get(dashboard_id)
    return fill_levels(dashboard, slo.load()) if dashboard else None


def lay_out(dashboard_id: str, filled: dict[str, Any], queries: Mapping[str, Query], namespace: str) -> dict[str, Any]:
    """
    Return the dashboard in the page's format.

    ``items`` are its panels and sections in the file's order; a section has its own ``panels``.
    """
    of_each = iter(list_panels(filled))

    def panel(item: dict[str, Any]) -> dict[str, Any]:
        return {"grid": item["grid"], **_describe_panel(next(of_each), queries, namespace)}

    items = [
        panel(item)
        if "type" in item
        else {
            "title": item.get("title", ""),
            "collapsed": item.get("collapsed", False),
            "grid": item["grid"],
            "panels": [panel(each) for each in item.get("panels", [])],
        }
        for item in filled.get("panels", [])
    ]
    return {
        "id": dashboard_id,
        **{key: filled[key] for key in _OF_THE_DASHBOARD if key in filled},
        "controls": [control.as_json() for control in list_controls(filled)],
        "items": items,
    }


def _describe_panel(panel: Panel, queries: Mapping[str, Query], namespace: str) -> dict[str, Any]:
    description = {
        "id": panel.id,
        "type": panel.type,
        "config": panel.config,
        "queries": [
            _describe_query(restrict_columns(queries[panel_query.name], panel_query.columns), namespace)
            for panel_query in panel.list_queries()
            if panel_query.name in queries
        ],
    }
    if panel.type == "markdown":
        description["nodes"] = markdown.parse_markdown(str(panel.config.get("content", "")))
    return description


def _describe_query(query: Query, namespace: str) -> dict[str, str]:
    return {"name": query.name, "question": query.question, "text": fill_namespace(query, namespace)}
