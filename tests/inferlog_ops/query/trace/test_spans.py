from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from inferlog_ops.query.trace.spans import Span, chain

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def event(name: str, begin: float, end: float) -> dict[str, Any]:
    ended = (START + timedelta(seconds=end)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"@timestamp": ended, "latency_seconds": end - begin, "service": {"name": name}, "status": "success"}


def shape(hops: list[Span]) -> list[Any]:
    return [(hop.event["service"]["name"], shape(hop.calls)) for hop in hops]


def test_a_hop_lies_within_the_shortest_that_spans_it() -> None:
    events = [event("model", 0.2, 0.8), event("gateway", 0, 1), event("proxy", 0.1, 0.9), event("tool", 0.82, 0.88)]
    assert shape(chain(events)) == [("gateway", [("proxy", [("model", []), ("tool", [])])])]


def test_a_clock_that_is_a_little_off_does_not_break_the_chain() -> None:
    assert shape(chain([event("gateway", 0, 1), event("model", -0.01, 0.9)])) == [("gateway", [("model", [])])]


def test_hops_one_after_the_other_lie_beside_each_other() -> None:
    assert shape(chain([event("b", 1, 2), event("a", 0, 0.9)])) == [("a", []), ("b", [])]


def test_own_time_is_what_no_call_accounts_for() -> None:
    (gateway,) = chain([event("gateway", 0, 1), event("model", 0.2, 0.8)])
    assert gateway.own_seconds == pytest.approx(0.4)
    assert gateway.calls[0].own_seconds == pytest.approx(0.6)


def test_calls_side_by_side_count_once() -> None:
    (gateway,) = chain([event("gateway", 0, 1), event("a", 0.2, 0.6), event("b", 0.4, 0.8), event("c", 0.45, 0.55)])
    assert gateway.own_seconds == pytest.approx(0.4)


def test_the_shares_of_a_chain_without_parallel_calls_add_up_to_its_latency() -> None:
    (outer,) = chain([event("a", 0, 1), event("b", 0.1, 0.9), event("c", 0.2, 0.5), event("d", 0.6, 0.7)])
    assert sum(hop.own_seconds for _, hop in outer.walk()) == pytest.approx(1.0)


def test_an_event_without_a_latency_is_a_moment() -> None:
    moment = event("x", 0.5, 0.5)
    del moment["latency_seconds"]
    assert shape(chain([event("gateway", 0, 1), moment])) == [("gateway", [("x", [])])]
