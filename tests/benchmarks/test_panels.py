"""Queries and data of the benchmark of the panels."""

import pytest

from benchmarks.day_of_events import INSTANCES, generate_events, index_a_day
from benchmarks.panels import QueryTimes, judge, select_panels
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.query.dashboards import files as dashboards
from inferlog_ops.query.dashboards.panels import list_panels
from tests.benchmarks.benchmark_runs import run_benchmark

EVENTS = 50
ASKED = ("overview", "duplicates", "p99_latency")


@pytest.fixture(scope="module")
def found(engine_url: str) -> dict[str, dict[str, float]]:
    """Measurements by query."""
    report = run_benchmark(
        "panels",
        *("--url", engine_url, "--events", EVENTS, "--only", *ASKED, "--heartbeat-seconds", 3600),
        *("--calls", 1, "--calls-before", 0, "--seconds-before", 0),
    )
    by_question: dict[str, dict[str, float]] = report["figures"]["events"][str(EVENTS)]
    return by_question


def test_each_query_is_timed_over_the_day_and_over_its_end(found: dict[str, dict[str, float]]) -> None:
    assert set(found) == set(ASKED)
    assert all(times["day_seconds"] > 0 and times["last_minutes_seconds"] > 0 for times in found.values())


@pytest.mark.usefixtures("found")
def test_index_a_day_indexes_requested_number_of_events(engine_url: str) -> None:
    with Cluster(url=engine_url, namespace=f"benchmark{EVENTS}").build_client() as client:
        assert client.count(index=build_stream_name("events", f"benchmark{EVENTS}"))["count"] == EVENTS


def test_every_panel_with_a_query_is_timed() -> None:
    timed = {place for places in select_panels(None).values() for place in places}
    assert timed == {
        f"{dashboard.id}/{panel.id}"
        for dashboard in dashboards.load_all().values()
        for panel in list_panels(dashboard.body)
        if panel.queries
    }


def test_select_panels_rejects_unused_query() -> None:
    with pytest.raises(OperatorError, match="--only p99_latncy: no panel uses it") as refused:
        select_panels(["overview", "p99_latncy"])
    assert refused.value.exit_code == 2


def test_queries_of_panel_with_several_layers_are_grouped() -> None:
    together = ("saturation_over_time", "p99_alone_over_time")
    assert together in select_panels(["overview", *together])
    assert together not in select_panels(["overview", together[0]])


def test_index_a_day_rejects_another_number_of_events(provisioned: Cluster) -> None:
    index_a_day(provisioned, 3, heartbeat_seconds=86_400)
    with pytest.raises(OperatorError, match="already holds 3 events"):
        index_a_day(provisioned, 4, heartbeat_seconds=86_400)


def test_synthetic_ids_are_ordered_within_a_process() -> None:
    names = [name for name, _ in generate_events(500)]
    assert len(set(names)) == 500
    prefixes = {name[:22] for name in names}
    assert len(prefixes) == INSTANCES
    for prefix in prefixes:
        of_one = [name for name in names if name.startswith(prefix)]
        assert of_one == sorted(of_one)


def test_the_goal_is_judged_by_the_slowest_panel_of_each_kind() -> None:
    def taking(seconds: float) -> QueryTimes:
        return QueryTimes(day_seconds=seconds, last_minutes_seconds=0, cpu_seconds=0)

    by_events = {1_000_000: {"overview": taking(0.4), "routes": taking(0.7), "duplicates": taking(2.9)}}
    duplicates, others = judge([("overview",), ("routes", "overview"), ("duplicates",)], by_events)
    assert (duplicates.met, others.met) == (True, False)
    assert others.found == "1.10 s (routes + overview)"
