"""The benchmark of the cost of an event times and judges every way. Its goals are for the command, not the suite."""

from tests.benchmarks.answers import answer_of

WAYS = ("record a finished event", "tracked function", "track_performance block", "what the middleware adds")


def test_every_way_to_write_an_event_is_timed_and_judged() -> None:
    report = answer_of("logging_cost", "--rounds", 20, "--others", "structlog", "--growth", 100)
    costs = report["figures"]["costs"]
    assert {*WAYS, "structlog"} <= costs.keys()
    assert all(cost["loop_microseconds"] > 0 for name, cost in costs.items() if name != "what the middleware adds")
    assert [goal["what"] for goal in report["goals"]] == [*WAYS, *(f"{way}, in lines of structlog" for way in WAYS)]


def test_without_structlog_there_is_nothing_to_compare_with() -> None:
    report = answer_of("logging_cost", "--rounds", 5, "--others", "--growth", 100)
    assert [goal["what"] for goal in report["goals"]] == list(WAYS)
