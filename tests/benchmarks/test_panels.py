"""Queries and data of the benchmark of the panels."""

from typing import Any

import pytest

from benchmarks.day_of_events import INSTANCES, generate_events, index_a_day
from benchmarks.panel_questions import Question
from benchmarks.panels import Found, PanelTimes, Times, find_growth, judge
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.query.dashboards.panels import Panel
from inferlog_ops.query.library import Query
from tests.benchmarks.benchmark_runs import run_benchmark

EVENTS = 50
ASKED = ("overview", "duplicates", "p99_latency")


@pytest.fixture(scope="module")
def report(engine_url: str) -> dict[str, Any]:
    return run_benchmark(
        "panels",
        *("--url", engine_url, "--events", EVENTS, "--only", *ASKED, "--heartbeat-seconds", 3600),
        *("--calls", 1, "--calls-before", 0, "--seconds-before", 0, "--warm-up-seconds", 0.01),
    )


def test_each_panel_is_timed_over_the_day_and_over_its_end(report: dict[str, Any]) -> None:
    found = report["figures"]["events"][str(EVENTS)]
    assert {"inferlog-overview/versions", "inferlog-overview/p99", "inferlog-pipeline-health/duplicated"} <= set(found)
    for times in found.values():
        assert times["on_page"]["day_seconds"] > 0
        assert times["on_page"]["newest_hour_seconds"] > 0


def test_form_based_panel_is_also_timed_as_kibana_asks(report: dict[str, Any]) -> None:
    found = report["figures"]["events"][str(EVENTS)]
    assert found["inferlog-overview/p99"]["in_kibana"]["day_seconds"] > 0
    assert found["inferlog-pipeline-health/duplicated"]["in_kibana"] is None


def test_query_is_timed_with_the_columns_of_each_panel(report: dict[str, Any]) -> None:
    asked = {tuple(each["questions"]) for each in report["figures"]["panels"]}
    assert ("p99_latency",) in asked  # as the query library shows it, and the terminal
    assert ("p99_latency(model_version, p50_seconds, p99_seconds)",) in asked


@pytest.mark.usefixtures("report")
def test_index_a_day_indexes_requested_number_of_events(engine_url: str) -> None:
    with Cluster(url=engine_url, namespace=f"benchmark{EVENTS}").build_client() as client:
        assert client.count(index=build_stream_name("events", f"benchmark{EVENTS}"))["count"] == EVENTS


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


def build_question(place: str, *names: str) -> Question:
    queries = tuple(Query(name=name, question=f"{name}?", text="", takes_model_version=True) for name in names)
    return Question(queries=queries, places=[place], panel=Panel(id=place, type="vis", config={}, section=None))


VERSIONS, BOTH, DUPLICATED = "inferlog-overview/versions", "inferlog-canary/both", "inferlog-pipeline-health/duplicated"
QUESTIONS = [
    build_question(VERSIONS, "overview"),
    build_question(BOTH, "a", "b"),
    build_question(DUPLICATED, "duplicates"),
]


def build_times(seconds: float, newest_hour_seconds: float = 0) -> PanelTimes:
    times = Times(day_seconds=seconds, newest_hour_seconds=newest_hour_seconds, cpu_seconds=2 * seconds)
    return PanelTimes(on_page=times, in_kibana=None)


def test_the_goal_is_judged_by_the_slowest_panel_of_each_kind() -> None:
    by_events: Found = {1_000_000: {VERSIONS: build_times(0.4), BOTH: build_times(1.1), DUPLICATED: build_times(2.9)}}
    duplicates, others = judge(QUESTIONS, by_events)
    assert (duplicates.met, others.met) == (True, False)
    assert others.found == "1.10 s (`a` + `b`)"


def test_ten_million_events_are_a_goal_of_the_overview_only() -> None:
    by_events: Found = {10_000_000: {VERSIONS: build_times(1.9, 1.1), BOTH: build_times(9), DUPLICATED: build_times(9)}}
    day, hour = judge(QUESTIONS, by_events)
    assert (day.found, day.met) == (f"1.90 s ({VERSIONS})", True)
    assert (hour.found, hour.met) == (f"1.10 s ({VERSIONS})", False)


def test_overview_is_judged_in_kibana_and_on_the_preview_page() -> None:
    kibana = Times(day_seconds=3, newest_hour_seconds=0, cpu_seconds=0)
    of_overview = PanelTimes(on_page=build_times(1).on_page, in_kibana=kibana)
    by_events: Found = {10_000_000: {VERSIONS: of_overview, BOTH: build_times(9), DUPLICATED: build_times(9)}}
    assert [(goal.what.split(",")[0], goal.met) for goal in judge(QUESTIONS, by_events)] == [
        ("panels of the overview in Kibana", False),
        ("newest hour of the panels of the overview in Kibana", True),
        ("panels of the overview on the preview page", True),
        ("newest hour of the panels of the overview on the preview page", True),
    ]


def test_other_sizes_have_no_goal() -> None:
    assert (
        judge(QUESTIONS, {10_000: {VERSIONS: build_times(9), BOTH: build_times(9), DUPLICATED: build_times(9)}}) == []
    )


def test_growth_has_the_processor_time_of_each_size() -> None:
    found: Found = {
        events: {VERSIONS: build_times(events / 1e6), BOTH: build_times(0), DUPLICATED: build_times(1)}
        for events in (10, 1000)
    }
    assert find_growth(QUESTIONS, found) == {
        "every figure, by version": [(10, 2e-5), (1000, 2e-3)],
        "duplicates": [(10, 2), (1000, 2)],
    }
