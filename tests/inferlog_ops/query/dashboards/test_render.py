from pathlib import Path
from typing import Any

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.dashboards.files import Dashboard
from inferlog_ops.query.dashboards.panels import list_panels
from inferlog_ops.query.dashboards.render import fill_levels, parse_query_name
from inferlog_ops.query.dashboards.slo import ServiceLevels

LEVELS = ServiceLevels(default={"p99_latency_seconds": 2.5, "error_rate": 0.01})


def build_dashboard(**body: Any) -> Dashboard:
    return Dashboard(id="inferlog-x", path=Path("inferlog-x.json"), body={"title": "X", **body})


def test_level_that_fills_a_string_becomes_a_number() -> None:
    body = fill_levels(build_dashboard(steps=[{"lt": "{slo.p99_latency_seconds}"}]), LEVELS)
    assert body["steps"] == [{"lt": 2.5}]


def test_level_within_a_text_becomes_its_digits() -> None:
    body = fill_levels(build_dashboard(content="above {slo.p99_latency_seconds} s or {slo.error_rate}"), LEVELS)
    assert body["content"] == "above 2.5 s or 0.01"


def test_unknown_level_error_names_the_file() -> None:
    with pytest.raises(OperatorError, match=r"inferlog-x\.json refers to the unknown service level 'p98'"):
        fill_levels(build_dashboard(content="{slo.p98}"), LEVELS)


def test_rendering_does_not_change_the_dashboard() -> None:
    source = build_dashboard(query="queries/latency.esql", content="{slo.error_rate}")
    fill_levels(source, LEVELS)
    assert source.body == {"title": "X", "query": "queries/latency.esql", "content": "{slo.error_rate}"}


@pytest.mark.parametrize("text", ["FROM logs", "queries/../secret.esql", "queries/a.sql", "see queries/a.esql"])
def test_parse_query_name_returns_none_for_other_text(text: str) -> None:
    assert parse_query_name(text) is None


def test_panels_of_sections_are_found_with_the_queries_of_their_layers_and_tabs() -> None:
    def source(name: str) -> dict[str, Any]:
        return {"data_source": {"type": "esql", "query": f"queries/{name}.esql"}}

    body = {
        "panels": [
            {"type": "markdown", "config": {"content": "# Hello"}},
            {"type": "vis", "id": "both", "config": {"type": "xy", "title": "T", "layers": [source("a"), source("b")]}},
            {
                "title": "More",
                "panels": [
                    {"type": "discover_session", "config": {"tabs": [source("c")]}},
                    {"type": "vis", "config": {"type": "metric", **source("d")}},
                ],
            },
        ]
    }
    found = list(list_panels(body))
    assert [(each.id, each.section, each.title, each.queries) for each in found] == [
        ("panel-0", None, "", []),
        ("both", None, "T", ["a", "b"]),
        ("panel-2-0", "More", "", ["c"]),
        ("panel-2-1", "More", "", ["d"]),
    ]


def test_query_of_a_panel_has_the_columns_that_its_part_shows() -> None:
    source = {"type": "esql", "query": "queries/a.esql"}
    layers = [
        {
            "data_source": source,
            "x": {"column": "bucket"},
            "y": [{"column": "p99_seconds", "label": "p99"}, {"column": "p50_seconds"}],
            "breakdown_by": {"column": "model_version"},
        },
        {"data_source": source, "x": {"column": "bucket"}, "y": [{"column": "requests"}, {"column": "requests"}]},
    ]
    body = {
        "panels": [
            {"type": "vis", "config": {"type": "xy", "layers": layers}},
            {"type": "discover_session", "config": {"tabs": [{"data_source": source}]}},
        ]
    }
    chart, listing = list_panels(body)
    assert [query.columns for query in chart.list_queries()] == [
        ("bucket", "p99_seconds", "p50_seconds", "model_version"),
        ("bucket", "requests"),
    ]
    assert [query.columns for query in listing.list_queries()] == [()]
