"""Percentiles of both sides, checked against plain Python's."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.core.progress import ignore_progress
from inferlog_ops.query.reconcile.latencies import LatencyComparison, Tolerance, compare_latencies
from inferlog_ops.query.reconcile.matching import Matching
from inferlog_ops.query.reconcile.records import read_records
from tests.golden.reading import compute_percentile
from tests.support.reconciling import ROUTE, make_event, make_record, write_records

PERCENTS = (50, 95, 99)
SENT = [
    make_record(
        f"request {number}",
        sent_after_seconds=number % 7 / 1000,
        ended_after_seconds=number % 7 / 1000 + Random(number).random(),
        outcome="left" if number % 10 == 0 else "answered",
    )
    for number in range(1_000)
]


def compute_latency(sent: dict[str, Any]) -> float:
    """Return the client's latency from sending."""
    return float(sent["ended_after_seconds"] - sent["sent_after_seconds"])


def compute_percentiles(seconds: list[float]) -> Any:
    return pytest.approx({percent: compute_percentile(seconds, percent) for percent in PERCENTS})


@pytest.fixture
def matching(tmp_path: Path) -> Matching:
    """A thousand requests whose events are shorter by 3 ms; every fourth of v2, every tenth without a latency."""
    records = read_records([write_records(tmp_path / "client.jsonl", SENT)], run_id=None, report=ignore_progress)
    events = [
        make_event(
            sent["correlation_id"],
            model_version="v2" if number % 4 == 0 else "v1",
            latency_seconds=None if number % 10 == 5 else compute_latency(sent) - 0.003,
        )
        for number, sent in enumerate(SENT)
    ]
    return Matching.from_records(records, [events])


def test_each_version_and_route_has_separate_figures(matching: Matching) -> None:
    row = {"p50_seconds": 0.5, "p95_seconds": 0.9, "p99_seconds": 1.0}
    comparisons = compare_latencies(
        matching,
        {"model_version": [{"model_version": "v1", **row}], "http.route": [{"http.route": ROUTE, **row}]},
        Tolerance(),
    )
    assert [(each.group, each.name) for each in comparisons] == [
        ("model_version", "v1"), ("model_version", "v2"), ("http.route", ROUTE),
    ]  # fmt: skip
    timed = [(number, sent) for number, sent in enumerate(SENT) if number % 10 != 5]
    v1, v2, whole = comparisons
    assert (v1.of_dashboard, v2.of_dashboard) == ({50: 0.5, 95: 0.9, 99: 1.0}, {})
    for comparison, chosen in (
        (v1, [sent for number, sent in timed if number % 4]),
        (v2, [sent for number, sent in timed if not number % 4]),
        (whole, [sent for _, sent in timed]),
    ):
        assert comparison.requests == len(chosen)
        assert comparison.sent_late == compute_percentiles([sent["sent_after_seconds"] for sent in chosen])
        assert comparison.from_due == compute_percentiles([sent["ended_after_seconds"] for sent in chosen])
        assert comparison.from_sent == compute_percentiles([compute_latency(sent) for sent in chosen])
        assert comparison.of_events == compute_percentiles([compute_latency(sent) - 0.003 for sent in chosen])
        assert comparison.before_service == pytest.approx({50: 0.003, 95: 0.003, 99: 0.003})


def test_without_a_figure_of_the_dashboards_nothing_agrees(matching: Matching) -> None:
    (whole,) = compare_latencies(matching, {"http.route": []}, Tolerance())
    assert [whole.agrees(percent) for percent in PERCENTS] == [False, False, False]
    assert whole.compute_difference_seconds(50) is None


def build_comparison(requests: int, client: float, dashboard: float, tolerance: Tolerance) -> LatencyComparison:
    nothing: dict[int, float] = {}
    return LatencyComparison(
        group="http.route",
        name=ROUTE,
        requests=requests,
        sent_late=nothing,
        from_due=nothing,
        from_sent=dict.fromkeys(PERCENTS, client),
        of_events=nothing,
        of_dashboard=dict.fromkeys(PERCENTS, dashboard),
        before_service=nothing,
        tolerance=tolerance,
    )


@pytest.mark.parametrize(
    ("client", "dashboard", "agrees"),
    [
        (1.019, 1.0, True),
        (1.021, 1.0, False),
        (0.979, 1.0, False),
        (0.0119, 0.01, True),
        (0.0121, 0.01, False),
        (0.002, 0.0, True),
    ],
)
def test_within_two_percent_or_two_milliseconds_is_the_same(client: float, dashboard: float, agrees: bool) -> None:
    assert build_comparison(1_000, client, dashboard, Tolerance()).agrees(99) is agrees


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 1), st.floats(0, 1))
def test_wider_tolerance_never_removes_agreement(client: float, dashboard: float, share: float, more: float) -> None:
    narrow, wide = Tolerance(share=share, seconds=share), Tolerance(share=share + more, seconds=share + more)
    assert build_comparison(500, client, dashboard, wide).agrees(99) or not build_comparison(
        500, client, dashboard, narrow
    ).agrees(99)


def test_too_few_requests_are_not_judged() -> None:
    assert [build_comparison(100, 9.0, 1.0, Tolerance()).agrees(percent) for percent in PERCENTS] == [
        False,
        False,
        None,
    ]
    assert build_comparison(29, 9.0, 1.0, Tolerance()).agrees(50) is None
