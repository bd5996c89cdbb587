"""Benchmark of the cost of an event: it times every variant. The suite does not check its goals."""

from tests.benchmarks.benchmark_runs import run_benchmark

WAYS = ("record a finished event", "tracked function", "track_performance block", "what the middleware adds")


def test_every_variant_of_writing_an_event_is_timed_and_judged() -> None:
    report = run_benchmark("logging_cost", "--rounds", 20, "--others", "structlog", "--growth", 100)
    costs = report["figures"]["costs"]
    assert {*WAYS, "structlog"} <= costs.keys()
    assert all(cost["loop_microseconds"] > 0 for name, cost in costs.items() if name != "what the middleware adds")
    assert [goal["what"] for goal in report["goals"]] == [*WAYS, *(f"{way}, in lines of structlog" for way in WAYS)]


def test_goals_in_structlog_lines_are_skipped_without_structlog() -> None:
    report = run_benchmark("logging_cost", "--rounds", 5, "--others", "--growth", 100)
    assert [goal["what"] for goal in report["goals"]] == list(WAYS)
