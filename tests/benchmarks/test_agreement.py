"""Agreement of clients and dashboards over the whole pipeline."""

from typing import Any

import pytest

from tests.benchmarks.benchmark_runs import run_benchmark

pytestmark = pytest.mark.timeout(600)

REQUESTS = 5_000  # more than one page of events, and 50 above the p99; scripts/bench agreement sends 20 000


@pytest.fixture(scope="module")
def reconciled() -> dict[str, Any]:
    """The JSON of ``inferlog reconcile`` about the whole run."""
    figures: dict[str, Any] = run_benchmark("agreement", "--requests", REQUESTS, timeout_seconds=500)["figures"]
    return figures


def test_each_request_of_thousands_has_one_event(reconciled: dict[str, Any]) -> None:
    assert (reconciled["sent"], reconciled["with_event"]) == (REQUESTS, REQUESTS), reconciled
    for count in ("lost", "duplicated", "surplus_events", "events_without_request", "different_ends"):
        assert reconciled[count] == 0, reconciled
    assert reconciled["outcomes"]["refused"] == REQUESTS // 20
    assert reconciled["outcomes"]["left"] > 0
    assert (reconciled["outcomes"]["unanswered"], reconciled["outcomes"]["broken"]) == (0, 0)


def test_dashboards_compute_the_percentile_of_the_events(reconciled: dict[str, Any]) -> None:
    """The query's percentile is an estimate, which is off by less than a percent."""
    (whole,) = (each for each in reconciled["latencies"] if each["group"] == "http.route")
    assert whole["requests"] == REQUESTS
    assert whole["p99"]["dashboard_seconds"] == pytest.approx(whole["p99"]["events_seconds"], rel=0.01)
