"""Selection of panels by query and dashboard."""

import pytest

from benchmarks.panel_questions import name_query, select_panels
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.dashboards import files as dashboards
from inferlog_ops.query.dashboards.panels import list_panels


def test_every_panel_with_a_query_is_a_place_of_a_question() -> None:
    assert {place for question in select_panels() for place in question.places} == {
        f"{dashboard.id}/{panel.id}"
        for dashboard in dashboards.load_all().values()
        for panel in list_panels(dashboard.body)
        if panel.queries
    }


def test_select_panels_rejects_unused_query() -> None:
    with pytest.raises(OperatorError, match="--only p99_latncy: no panel uses it") as refused:
        select_panels(["overview", "p99_latncy"])
    assert refused.value.exit_code == 2


def test_select_panels_rejects_unknown_dashboard() -> None:
    with pytest.raises(OperatorError, match="inferlog-overvew"):
        select_panels(of_dashboards=["inferlog-overvew"])


def test_select_panels_of_a_dashboard_leaves_out_the_others() -> None:
    places = [place for question in select_panels(of_dashboards=["inferlog-canary"]) for place in question.places]
    assert places
    assert all(place.startswith("inferlog-canary/") for place in places)


def test_queries_of_panel_with_several_layers_are_one_question() -> None:
    together = ("saturation_over_time", "p99_alone_over_time")

    def list_names(only: list[str]) -> set[tuple[str, ...]]:
        return {tuple(query.name for query in question.queries) for question in select_panels(only)}

    assert together in list_names(["overview", *together])
    assert together not in list_names(["overview", together[0]])


def test_panels_that_show_other_columns_of_a_query_are_other_questions() -> None:
    names = {name_query(query): question.places for question in select_panels(["costs"]) for query in question.queries}
    assert names == {
        "costs": ["inferlog-query-library/costs"],
        "costs(model_version, cost_usd, cost_usd_per_hour)": ["inferlog-overview/cost-per-hour"],
        "costs(model_version, requests, cost_usd_per_1000_requests)": [
            "inferlog-overview/cost-per-1000", "inferlog-canary/cost",
        ],
    }  # fmt: skip
