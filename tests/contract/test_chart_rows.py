"""A chart has one row for each point that it draws: two of them would be added up, or one would hide the other."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from inferlog_ops.query.dashboards import files
from inferlog_ops.query.dashboards.panels import Panel, panels
from inferlog_ops.query.dashboards.render import query_named
from tests.golden import END, START, expected, golden

DOCUMENTS = golden().between(START, END)


def points() -> Iterator[Any]:
    """Yield, of each layer of each chart, its query and the columns that tell its points apart."""
    for dashboard in files.load_all().values():
        if dashboard.id == "inferlog-alerts":
            continue  # its documents are no requests; see the tests of alerts
        for panel in panels(dashboard.body):
            for query, columns in keys_of(panel):
                yield pytest.param(query, columns, id=f"{dashboard.id}/{panel.id}-{query}")


def keys_of(panel: Panel) -> Iterator[tuple[str, list[str]]]:
    if panel.config.get("type") not in {"metric", "gauge", "xy", "heatmap"}:
        return
    for layer in panel.config.get("layers", [panel.config]):
        query = query_named(layer["data_source"]["query"])
        assert query, panel.id
        yield query, [layer[axis]["column"] for axis in ("x", "y", "breakdown_by") if isinstance(layer.get(axis), dict)]


@pytest.mark.parametrize(("query", "columns"), list(points()))
def test_each_point_of_a_chart_is_one_row(query: str, columns: list[str]) -> None:
    rows = expected(query, DOCUMENTS, START, END)
    assert rows
    counted = Counter(tuple(row[column] for column in columns) for row in rows)
    assert {point: count for point, count in counted.items() if count > 1} == {}
