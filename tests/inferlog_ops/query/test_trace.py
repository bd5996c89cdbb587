from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from inferlog_ops.query.trace import Span, build_tree, read_text

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def build_event(name: str, begin: float, end: float) -> dict[str, Any]:
    ended = (START + timedelta(seconds=end)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"@timestamp": ended, "latency_seconds": end - begin, "service": {"name": name}, "status": "success"}


def reduce_to_names(hops: list[Span]) -> list[Any]:
    return [(hop.event["service"]["name"], reduce_to_names(hop.calls)) for hop in hops]


def test_parent_is_the_shortest_covering_span() -> None:
    events = [
        build_event("model", 0.2, 0.8),
        build_event("gateway", 0, 1),
        build_event("proxy", 0.1, 0.9),
        build_event("tool", 0.82, 0.88),
    ]
    assert reduce_to_names(build_tree(events)) == [("gateway", [("proxy", [("model", []), ("tool", [])])])]


def test_small_clock_skew_does_not_break_the_tree() -> None:
    assert reduce_to_names(build_tree([build_event("gateway", 0, 1), build_event("model", -0.01, 0.9)])) == [
        ("gateway", [("model", [])])
    ]


def test_consecutive_spans_are_siblings() -> None:
    assert reduce_to_names(build_tree([build_event("b", 1, 2), build_event("a", 0, 0.9)])) == [("a", []), ("b", [])]


def test_own_time_excludes_calls() -> None:
    (gateway,) = build_tree([build_event("gateway", 0, 1), build_event("model", 0.2, 0.8)])
    assert gateway.own_seconds == pytest.approx(0.4)
    assert gateway.calls[0].own_seconds == pytest.approx(0.6)


def test_parallel_calls_count_once() -> None:
    (gateway,) = build_tree(
        [
            build_event("gateway", 0, 1),
            build_event("a", 0.2, 0.6),
            build_event("b", 0.4, 0.8),
            build_event("c", 0.45, 0.55),
        ]
    )
    assert gateway.own_seconds == pytest.approx(0.4)


def test_shares_of_a_chain_without_parallel_calls_add_up_to_its_latency() -> None:
    (outer,) = build_tree(
        [build_event("a", 0, 1), build_event("b", 0.1, 0.9), build_event("c", 0.2, 0.5), build_event("d", 0.6, 0.7)]
    )
    assert sum(hop.own_seconds for _, hop in outer.walk()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("latency_seconds", "expected"), [(None, 0), ([0.5, 2], 0.5), ([], 0), ([None], 0), ("0.5", 0.5)]
)
def test_latency_of_another_writer_is_its_first_value(latency_seconds: Any, expected: float) -> None:
    (hop,) = build_tree([build_event("gateway", 0, 1) | {"latency_seconds": latency_seconds}])
    assert hop.latency_seconds == pytest.approx(expected)


def test_time_without_offset_is_in_utc() -> None:
    naive = build_event("model", 0.2, 0.8)
    naive["@timestamp"] = naive["@timestamp"].removesuffix("Z")
    assert reduce_to_names(build_tree([naive, build_event("gateway", 0, 1)])) == [("gateway", [("model", [])])]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, None),
        ({"service": None}, None),
        ({"service": "scoring"}, None),
        ({"service": {"name": "scoring"}}, "scoring"),
        ({"service.name": "scoring"}, "scoring"),
        ({"service": [{"name": ["scoring", "other"]}]}, "scoring"),
        ({"service": {"name": 7}}, "7"),
    ],
)
def test_field_of_another_writer_is_read_in_any_form(document: dict[str, Any], expected: str | None) -> None:
    assert read_text(document, "service.name") == expected


def test_event_without_latency_has_zero_length() -> None:
    moment = build_event("x", 0.5, 0.5)
    del moment["latency_seconds"]
    assert reduce_to_names(build_tree([build_event("gateway", 0, 1), moment])) == [("gateway", [("x", [])])]


@pytest.mark.parametrize("latency_seconds", [1e300, -1e300])
def test_absurd_latency_of_another_writer_is_bounded(latency_seconds: float) -> None:
    event = {**build_event("absurd", 0, 1), "latency_seconds": latency_seconds}
    (span,) = build_tree([event])
    assert 0.0 <= span.latency_seconds <= 1e9
