"""Rules of the server beyond the schema. Expects a body that passes the schema."""

from collections.abc import Iterator
from typing import Any

from tests.kibana.json_paths import DashboardFault, JsonPath, format_path, walk

_MOST_PANELS = 1000


def find_faults(body: dict[str, Any]) -> Iterator[DashboardFault]:
    """Yield the violated rules."""
    for place, node in walk(body):
        if place[-2:] == ("areas", "fill"):
            yield _build_fault(place, "there is 'fill' from Kibana 9.6 on only; 9.5 answers 400")
        if isinstance(node, dict):
            yield from _find_faults_of(node, place)
    count = _count(body)
    if count > _MOST_PANELS:
        yield _build_fault(("panels",), f"{count} panels, sections and controls; there may be {_MOST_PANELS}")


def _find_faults_of(node: dict[str, Any], place: JsonPath) -> Iterator[DashboardFault]:
    match node.get("type"):
        case "dynamic" if "steps" in node:
            yield from _find_step_faults(node["steps"], (*place, "steps"))
        case "data_table":
            yield from _find_sort_faults(node, (*place, "styling", "sort_by"))
        case "metric":
            yield from _find_percentage_faults(node, (*place, "metrics", 0, "color"))


def _find_step_faults(steps: list[dict[str, Any]], place: JsonPath) -> Iterator[DashboardFault]:
    """Yield gaps in a colour scale: each step must begin at the end of the one before."""
    end_before = None
    for index, step in enumerate(steps):
        here = (*place, index)
        begin, end = step.get("gte"), step.get("lt")
        if index > 0 and begin is None:
            yield _build_fault(here, "'gte' is needed on every step but the first")
        if index < len(steps) - 1 and end is None:
            yield _build_fault(here, "'lt' is needed on every step but the last")
        if end is not None and "lte" in step:
            yield _build_fault(here, "a step takes either 'lt' or 'lte'")
        last = step.get("lte", end)
        if begin is not None and last is not None and begin > last:
            yield _build_fault(here, f"begins at {begin}, above its end {last}")
        if begin is not None and end_before is not None and begin != end_before:
            yield _build_fault(here, f"begins at {begin}; the step before ends at {end_before}")
        end_before = end


def _find_sort_faults(table: dict[str, Any], place: JsonPath) -> Iterator[DashboardFault]:
    sort_by = table.get("styling", {}).get("sort_by")
    if sort_by is None:
        return
    kind, index = sort_by["column_type"], sort_by.get("index", 0)
    columns = table.get("rows" if kind == "row" else "metrics", [])
    if index >= len(columns):
        yield _build_fault((*place, "index"), f"sorts by column {index} of {len(columns)}")
    splits = table.get("split_metrics_by", [])
    if kind == "pivoted_metric" and len(sort_by.get("values", [])) != len(splits):
        yield _build_fault((*place, "values"), f"needs a value for each of the {len(splits)} 'split_metrics_by'")


def _find_percentage_faults(metric: dict[str, Any], place: JsonPath) -> Iterator[DashboardFault]:
    if "metrics" not in metric:
        return  # one of a chart's metrics, not the chart
    primary = metric["metrics"][0]
    has_scale = "breakdown_by" in metric or primary.get("background_chart", {}).get("type") == "bar"
    if primary.get("color", {}).get("range") == "percentage" and not has_scale:
        yield _build_fault(place, "colours by percentage need 'breakdown_by' or a bar behind the figure")


def _count(body: dict[str, Any]) -> int:
    panels = body.get("panels", [])
    return len(panels) + sum(len(item.get("panels", [])) for item in panels) + len(body.get("pinned_panels", []))


def _build_fault(place: JsonPath, message: str) -> DashboardFault:
    return DashboardFault(path=format_path(place), message=message)
