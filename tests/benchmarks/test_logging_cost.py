"""
What an event costs, against a line of structlog as its page on performance recommends.

A ratio of two ways that do the same kind of work holds on any machine. The limits lie a quarter above what was
measured: they are there so that a change which costs is noticed.
"""

import pytest
from answers import answer_of

pytestmark = pytest.mark.alone

LIMITS = {
    "record a finished event": 1.0,
    "tracked function": 1.4,
    "track_performance block": 1.8,
    "what the middleware adds": 2.3,
}


@pytest.fixture(scope="module")
def microseconds() -> dict[str, float]:
    report = answer_of("logging_cost.py", "--rounds", 400, "--others", "structlog", "--growth", 100)
    return {name: cost["loop_microseconds"] for name, cost in report["figures"]["costs"].items()}


@pytest.mark.parametrize("way", LIMITS)
def test_an_event_costs_little_more_than_a_line_of_the_quickest_logger(
    way: str, microseconds: dict[str, float]
) -> None:
    assert microseconds[way] / microseconds["structlog"] <= LIMITS[way], microseconds
