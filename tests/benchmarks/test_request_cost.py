"""Comparison of instrumentations of one service. The suite does not check its goals."""

from typing import Any

import pytest

from benchmarks.observed_apps import APPS, BARE, CLOSEST, INFERLOG
from benchmarks.request_cost import CONTENT
from tests.benchmarks.benchmark_runs import run_benchmark


@pytest.fixture(scope="module")
def costs() -> dict[str, Any]:
    report = run_benchmark("request_cost", "--rounds", 2, "--requests", 2, "--turns", 1)
    costs: dict[str, Any] = report["figures"]
    return costs


def test_every_instrumentation_is_called_and_served(costs: dict[str, Any]) -> None:
    assert costs.keys() == APPS.keys()
    for cost in costs.values():
        assert min(cost["cpu_microseconds"], cost["requests_per_second"], cost["p50_ms"]) > 0
        assert cost["p50_ms"] <= cost["p99_ms"]


def test_content_is_read_from_the_records(costs: dict[str, Any]) -> None:
    assert costs[BARE]["content"] == []
    assert costs[INFERLOG]["content"] == list(CONTENT)
    assert {"one record a request", "caller's request id", "model version, tokens"} <= set(costs[CLOSEST]["content"])
    assert "hash chain" not in costs[CLOSEST]["content"]
