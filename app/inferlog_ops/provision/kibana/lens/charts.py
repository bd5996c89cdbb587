"""Charts of the dashboard files in the form of Lens: kind and drawing; the layers come from a builder."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.kibana.lens.appearance import build_color_mapping, build_thresholds
from inferlog_ops.query.dashboards.panels import Panel

_FITTING = {"zero": "Zero", "linear": "Linear", "carry": "Carry"}
_TILES = 5  # and one for all other values; Lens keeps room for as many as there can be
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A Lens chart: its kind, the state of its drawing, and its layers by id."""

    kind: str
    visualization: dict[str, Any]
    layers: dict[str, Any]


class LayerBuilder(Protocol):
    """Builder of one layer, form-based or ES|QL; see `FormBasedLayerBuilder`."""

    summed: str
    sort: str

    def has(self, item: Mapping[str, Any]) -> bool: ...

    def add(self, item: Mapping[str, Any], *, most_groups: int | None = None) -> str: ...

    def list_hidden(self) -> list[str]: ...

    def build(self) -> Any: ...


BeginLayer = Callable[[Mapping[str, Any]], LayerBuilder]
"""Returns the builder of a layer, given its part of the file."""


def build_chart(panel: Panel, begin: BeginLayer) -> Chart:
    """
    Return the Lens chart of *panel*, a chart with the values of the service levels.

    Raises:
        OperatorError: If Lens has no such chart, or no operation for a column.
    """
    builders = {
        "metric": _build_metric,
        "gauge": _build_gauge,
        "xy": _build_xy,
        "heatmap": _build_heatmap,
        "data_table": _build_table,
    }
    kind = panel.config["type"]
    if kind not in builders:
        raise OperatorError(f"panel {panel.id}: Lens has no chart of type {kind!r}")
    return builders[kind](panel.config, begin)


def build_column_id(name: str) -> str:
    """Return the id of the column *name* in Lens."""
    return _NOT_IN_IDS.sub("_", name)


def _build_metric(config: dict[str, Any], begin: BeginLayer) -> Chart:
    builder = begin(config)
    visualization: dict[str, Any] = {"layerId": "layer1", "layerType": "data"}
    if "breakdown_by" in config:
        breakdown = config["breakdown_by"]
        visualization |= {
            "breakdownByAccessor": builder.add(breakdown, most_groups=_TILES),
            "maxCols": breakdown.get("columns", 3),
        }
    names = {"primary": "metricAccessor", "secondary": "secondaryMetricAccessor"}
    visualization |= {names[metric["type"]]: builder.add(metric) for metric in config["metrics"]}
    primary = config["metrics"][0]
    if "max" in primary:
        visualization["maxAccessor"] = builder.add(primary["max"])
        visualization |= {"showBar": True, "progressDirection": "horizontal"}
    if palette := build_thresholds(primary.get("color")):
        visualization["palette"] = palette
    if builder.summed:
        visualization |= {"breakdownByAccessor": builder.summed, "collapseFn": "sum"}
    return Chart(kind="lnsMetric", visualization=visualization, layers={"layer1": builder.build()})


def _build_gauge(config: dict[str, Any], begin: BeginLayer) -> Chart:
    """Return a metric with a bar: a gauge of Lens cannot add up groups."""
    primary = {**config["metric"], "type": "primary"}
    return _build_metric({**config, "metrics": [primary]}, begin)


def _build_xy(config: dict[str, Any], begin: BeginLayer) -> Chart:
    drawn: list[dict[str, Any]] = []
    layers: dict[str, Any] = {}
    for number, holder in enumerate(config["layers"], start=1):
        builder = begin(holder)
        layer_id = f"layer{number}"
        drawn.append(_draw_xy_layer(layer_id, holder, builder))
        layers[layer_id] = builder.build()
    styling, legend, axis = config.get("styling", {}), config.get("legend", {}), config.get("axis", {})
    visualization: dict[str, Any] = {
        "legend": {"isVisible": legend.get("visibility") == "visible", "position": _choose_legend_position(config)},
        "valueLabels": "hide",
        "preferredSeriesType": drawn[0]["seriesType"],
        "fittingFunction": _FITTING.get(styling.get("fitting", {}).get("type"), "None"),
        "axisTitlesVisibilitySettings": {
            "x": _shows_title(axis.get("x")),
            "yLeft": _shows_title(axis.get("y")),
            "yRight": _shows_title(axis.get("y2")),
        },
        "layers": drawn,
    }
    if styling.get("interpolation") == "stepped":
        visualization["curveType"] = "CURVE_STEP_AFTER"
    for name, key in (("y", "yTitle"), ("y2", "yRightTitle")):
        if text := axis.get(name, {}).get("title", {}).get("text"):
            visualization[key] = text
    return Chart(kind="lnsXY", visualization=visualization, layers=layers)


def _draw_xy_layer(layer_id: str, holder: Mapping[str, Any], builder: LayerBuilder) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "layerId": layer_id,
        "layerType": "data",
        "seriesType": _convert_series_type(holder["type"]),
        "xAccessor": builder.add(holder["x"]),
        "position": "top",
        "showGridlines": False,
    }
    if "breakdown_by" in holder:
        drawn["splitAccessor"] = builder.add(holder["breakdown_by"])
        if mapping := build_color_mapping(holder["breakdown_by"].get("color")):
            drawn["colorMapping"] = mapping
    drawn["accessors"] = [builder.add(item) for item in holder["y"]]
    if builder.summed:
        drawn |= {"splitAccessor": builder.summed, "collapseFn": "sum"}
    details = [
        {"forAccessor": build_column_id(item["column"])}
        | ({"axisMode": "right"} if item.get("axis") == "y2" else {})
        | ({"color": item["color"]["color"]} if item.get("color", {}).get("type") == "static" else {})
        for item in holder["y"]
    ]
    if details := [each for each in details if len(each) > 1]:
        drawn["yConfig"] = details
    return drawn


def _build_heatmap(config: dict[str, Any], begin: BeginLayer) -> Chart:
    builder = begin(config)
    axis = config.get("axis", {})
    visualization = {
        "shape": "heatmap",
        "layerId": "layer1",
        "layerType": "data",
        "xAccessor": builder.add(config["x"]),
        "yAccessor": builder.add(config["y"]),
        "valueAccessor": builder.add(config["metric"]),
        "legend": {
            "isVisible": config["legend"]["visibility"] == "visible",
            "position": config["legend"]["position"],
            "type": "heatmap_legend",
        },
        "gridConfig": {
            "type": "heatmap_grid",
            "isCellLabelVisible": False,
            "isYAxisLabelVisible": True,
            "isXAxisLabelVisible": True,
            "isYAxisTitleVisible": _shows_title(axis.get("y")),
            "isXAxisTitleVisible": _shows_title(axis.get("x")),
            "yTitle": axis.get("y", {}).get("title", {}).get("text", ""),
        },
    }
    return Chart(kind="lnsHeatmap", visualization=visualization, layers={"layer1": builder.build()})


def _build_table(config: dict[str, Any], begin: BeginLayer) -> Chart:
    builder = begin(config)
    shown = [_build_table_column(item, builder) for item in config.get("rows", []) if builder.has(item)]
    shown += [
        _build_table_column(item, builder) | {"isMetric": True}
        for item in config.get("metrics", [])
        if builder.has(item)
    ]
    hidden = [{"columnId": each, "hidden": True} for each in builder.list_hidden()]
    styling = config.get("styling", {})
    visualization: dict[str, Any] = {
        "layerId": "layer1",
        "layerType": "data",
        "columns": [*hidden, *shown],
        "headerRowHeight": "single",
        "rowHeight": "single",
    }
    if size := styling.get("paging"):
        visualization["paging"] = {"size": size, "enabled": True}
    if any(column["columnId"] == builder.sort for column in shown):
        visualization["sorting"] = {"columnId": builder.sort, "direction": "desc"}
    return Chart(kind="lnsDatatable", visualization=visualization, layers={"layer1": builder.build()})


def _build_table_column(item: Mapping[str, Any], builder: LayerBuilder) -> dict[str, Any]:
    column: dict[str, Any] = {"columnId": builder.add(item), "isTransposed": False}
    if "alignment" in item:
        column["alignment"] = item["alignment"]
    if item.get("click_filter"):
        column["oneClickFilter"] = True
    if palette := build_thresholds(item.get("color")):
        column |= {"colorMode": "cell", "palette": palette}
    if summary := item.get("summary"):
        column |= {"summaryRow": summary["type"], "summaryLabel": summary["label"]}
    return column


def _choose_legend_position(config: Mapping[str, Any]) -> str:
    """Return the file's position, but "right" for many series: below a chart of Lens there is room for three."""
    position: str = config.get("legend", {}).get("position", "right")
    has_many = any("breakdown_by" in holder for holder in config["layers"])
    return "right" if position == "bottom" and has_many else position


def _convert_series_type(kind: str) -> str:
    return {"area_percentage": "area_percentage_stacked"}.get(kind, kind)


def _shows_title(axis: Mapping[str, Any] | None) -> bool:
    return axis is not None and axis.get("title", {}).get("visible", True)
