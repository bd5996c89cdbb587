"""Chart queries return one row per point: two rows would be added up, or one would hide the other."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from inferlog_ops.query.dashboards import files
from inferlog_ops.query.dashboards.panels import Panel, list_panels
from inferlog_ops.query.dashboards.render import parse_query_name
from tests.golden import END, START, build_golden, compute_expected_rows

DOCUMENTS = build_golden().select_between(START, END)


def list_points() -> Iterator[Any]:
    """Yield the query of each chart layer and the columns that identify a point."""
    for dashboard in files.load_all().values():
        if dashboard.id == "inferlog-alerts":
            continue  # its documents are not requests; see the tests of alerts
        for panel in list_panels(dashboard.body):
            for query, columns in list_keys(panel):
                yield pytest.param(query, columns, id=f"{dashboard.id}/{panel.id}-{query}")


def list_keys(panel: Panel) -> Iterator[tuple[str, list[str]]]:
    if panel.config.get("type") not in {"metric", "gauge", "xy", "heatmap"}:
        return
    for layer in panel.config.get("layers", [panel.config]):
        query = parse_query_name(layer["data_source"]["query"])
        assert query, panel.id
        yield query, [layer[axis]["column"] for axis in ("x", "y", "breakdown_by") if isinstance(layer.get(axis), dict)]


@pytest.mark.parametrize(("query", "columns"), list(list_points()))
def test_each_point_of_a_chart_is_one_row(query: str, columns: list[str]) -> None:
    rows = compute_expected_rows(query, DOCUMENTS, START, END)
    assert rows
    counted = Counter(tuple(row[column] for column in columns) for row in rows)
    assert {point: count for point, count in counted.items() if count > 1} == {}
