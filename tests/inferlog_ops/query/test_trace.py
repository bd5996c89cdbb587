from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from inferlog_ops.query.trace import Span, build_tree

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def event(name: str, begin: float, end: float) -> dict[str, Any]:
    ended = (START + timedelta(seconds=end)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"@timestamp": ended, "latency_seconds": end - begin, "service": {"name": name}, "status": "success"}


def shape(hops: list[Span]) -> list[Any]:
    return [(hop.event["service"]["name"], shape(hop.calls)) for hop in hops]


def test_parent_is_the_shortest_covering_span() -> None:
    events = [event("model", 0.2, 0.8), event("gateway", 0, 1), event("proxy", 0.1, 0.9), event("tool", 0.82, 0.88)]
    assert shape(build_tree(events)) == [("gateway", [("proxy", [("model", []), ("tool", [])])])]


def test_small_clock_skew_does_not_break_the_tree() -> None:
    assert shape(build_tree([event("gateway", 0, 1), event("model", -0.01, 0.9)])) == [("gateway", [("model", [])])]


def test_consecutive_spans_are_siblings() -> None:
    assert shape(build_tree([event("b", 1, 2), event("a", 0, 0.9)])) == [("a", []), ("b", [])]


def test_own_time_excludes_calls() -> None:
    (gateway,) = build_tree([event("gateway", 0, 1), event("model", 0.2, 0.8)])
    assert gateway.own_seconds == pytest.approx(0.4)
    assert gateway.calls[0].own_seconds == pytest.approx(0.6)


def test_parallel_calls_count_once() -> None:
    (gateway,) = build_tree(
        [event("gateway", 0, 1), event("a", 0.2, 0.6), event("b", 0.4, 0.8), event("c", 0.45, 0.55)]
    )
    assert gateway.own_seconds == pytest.approx(0.4)


def test_shares_of_a_chain_without_parallel_calls_add_up_to_its_latency() -> None:
    (outer,) = build_tree([event("a", 0, 1), event("b", 0.1, 0.9), event("c", 0.2, 0.5), event("d", 0.6, 0.7)])
    assert sum(hop.own_seconds for _, hop in outer.walk()) == pytest.approx(1.0)


def test_event_without_latency_has_zero_length() -> None:
    moment = event("x", 0.5, 0.5)
    del moment["latency_seconds"]
    assert shape(build_tree([event("gateway", 0, 1), moment])) == [("gateway", [("x", [])])]
