"""Parts of dashboard files, for dashboards of tests."""

from typing import Any

Part = dict[str, Any]


def build_vis(panel_id: str, config: Part, *, query: str | None = None, y: int = 0, w: int = 48, h: int = 10) -> Part:
    """Return a panel with a chart of *query*, or of the queries of its layers."""
    source = {"data_source": build_source(query)} if query else {}
    return {"type": "vis", "id": panel_id, "grid": {"x": 0, "y": y, "w": w, "h": h}, "config": {**source, **config}}


def build_layer(kind: str, query: str, **config: Any) -> Part:
    """Return a layer of an xy chart."""
    return {"type": kind, "data_source": build_source(query), **config}


def build_text(content: str, *, y: int = 0) -> Part:
    """Return a panel with markdown."""
    grid = {"x": 0, "y": y, "w": 48, "h": 4}
    return {"type": "markdown", "id": f"text-{y}", "grid": grid, "config": {"content": content, "settings": {}}}


def build_control(field: str, **config: Any) -> Part:
    """Return a control of the events' *field*."""
    named = {"title": field, "data_view_id": "inferlog-events", "field_name": field}
    return {"type": "options_list_control", "id": field.replace(".", "-"), "config": {**named, **config}}


def build_tiles(query: str, column: str, **config: Any) -> Part:
    """Return the configuration of a metric with a tile for each model version."""
    return {
        "type": "metric",
        "title": query,
        "metrics": [{"type": "primary", "column": column, **config}],
        "breakdown_by": {"column": "model_version"},
    }


def build_source(query: str) -> Part:
    """Return a data source in the format of a dashboard file."""
    return {"type": "esql", "query": f"queries/{query}.esql"}
