"""Errors of a panel do not affect other panels."""

from typing import Any

from inferlog_ops.core.cluster import Cluster
from tests.support.panel_files import build_layer, build_text, build_tiles, build_vis


def test_failing_panel_does_not_affect_others(window: Any, filled: Cluster, dashboard: Any, all_of_them: Any) -> None:
    named_wrongly = build_layer(
        "line", "requests_per_second_over_time", x={"column": "bucket"}, y=[{"column": "no_such"}]
    )
    by_hand = {"type": "esql", "query": "FROM logs-* | LIMIT 1"}
    dashboard(
        build_vis("good", build_tiles("requests_per_second", "requests"), query="requests_per_second"),
        build_vis("no-query", build_tiles("no_such_query", "requests"), query="no_such_query", y=10),
        build_vis("no-column", {"type": "xy", "title": "No column", "layers": [named_wrongly]}, y=20),
        build_vis(
            "by-hand", {"type": "metric", "metrics": [{"type": "primary", "column": "x"}], "data_source": by_hand}, y=30
        ),
        build_vis("pie", {"type": "pie", "title": "Pie", "data_source": {"type": "esql"}}, y=40),
        {"type": "vega", "id": "vega", "grid": {"x": 0, "y": 50, "w": 48, "h": 5}, "config": {}},
        build_text("Still here.", y=55),
    )
    with window(filled, height=1500, refusals=True) as visit:
        visit.go("inferlog-test", **all_of_them)
        for panel_id, sentence in {
            "no-query": "dashboards/queries/no_such_query.esql does not exist",
            "no-column": "the panel requires the column no_such; the query returns bucket, model_version, requests",
            "by-hand": "are not supported; expected a query in dashboards/queries",
            "pie": "This page does not support a chart of type pie. Open the dashboard in Kibana.",
            "vega": "This page does not support a panel of type vega.",
        }.items():
            assert sentence in visit.find_panel(panel_id).inner_text()
        assert visit.find_panel("good").locator(".tile").count() > 1
        assert visit.page.get_by_text("Still here.").is_visible()
        assert visit.page.locator(".notice").count() == 0
