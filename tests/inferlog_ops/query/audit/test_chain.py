"""Every kind of tampering is found; other gaps are not reported."""

import copy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog.audit import Hasher, serialize_canonically
from inferlog_ops.query.audit.chain import Fault, HeartbeatCount, sort_key, verify
from tests.support import chains
from tests.support.chains import EPOCH

Event = dict[str, Any]


def build_chain(count: int, **options: Any) -> list[Event]:
    """Return *count* events of an instance, one a second."""
    return chains.build_chain((EPOCH + timedelta(seconds=number) for number in range(count)), **options)


def find_in_chain(events: list[Event]) -> list[tuple[str, int, int]]:
    report = verify(sorted(events, key=sort_key), Hasher())
    return [(finding.fault.value, finding.sequence, finding.until) for finding in report.findings]


def test_intact_chain_has_no_findings() -> None:
    report = verify([*build_chain(5), *build_chain(3, instance="b")], Hasher())
    assert (report.events, report.instances, report.dropped, report.cut_heads, report.findings) == (8, 2, 0, 0, [])


def test_changed_event_is_named() -> None:
    events = build_chain(5)
    events[2]["model_version"] = "v2"
    assert find_in_chain(events) == [("changed", 2, 2)]


@pytest.mark.parametrize("moved", ["1970-01-01T00:00:02.000001Z", "1970-01-01T00:00:03Z"])
def test_changed_time_is_found(moved: str) -> None:
    events = build_chain(5)
    events[2]["@timestamp"] = moved
    assert find_in_chain(events) == [("changed", 2, 2)]


def test_removed_events_are_named() -> None:
    events = build_chain(8)
    del events[2:4]
    del events[4]
    assert find_in_chain(events) == [("removed", 2, 3), ("removed", 6, 6)]


def test_inserted_event_with_a_taken_sequence_is_found() -> None:
    events = build_chain(5)
    forged = copy.deepcopy(events[2])
    forged["event"]["id"] = "forged"
    assert find_in_chain([*events, forged]) == [("put in", 2, 2)]


def test_event_replaced_with_a_new_hash_breaks_the_link_to_the_next() -> None:
    events = build_chain(5)
    content = {name: value for name, value in events[2].items() if name not in ("@timestamp", "audit")}
    content["model_version"] = "v2"
    events[2] = {"@timestamp": events[2]["@timestamp"], **content}
    own = Hasher()(events[1]["audit"]["hash"], 2_000_000, serialize_canonically(content))
    events[2]["audit"] = {"prev": events[1]["audit"]["hash"], "hash": own}
    assert find_in_chain(events) == [("put in", 3, 3)]


def test_inserted_event_in_the_gap_of_a_dropped_one_is_found() -> None:
    events = build_chain(5, dropped=frozenset({2}))
    content = {"event": {"id": "forged", "sequence": 2}, "service": {"instance": {"id": "a"}}}
    own = Hasher()(events[1]["audit"]["hash"], 2_000_000, serialize_canonically(content))
    forged = {"@timestamp": "1970-01-01T00:00:02Z", "audit": {"prev": events[1]["audit"]["hash"], "hash": own}}
    assert find_in_chain([*events, forged | content]) == [("put in", 3, 3)]


def test_dropped_events_are_counted_not_reported_as_tampering() -> None:
    report = verify(build_chain(8, dropped=frozenset({0, 3, 4})), Hasher())
    assert report.findings == []
    assert report.dropped == 2
    assert report.cut_heads == 1


def cut_off(events: list[Event], counted: HeartbeatCount) -> list[tuple[str, int, int]]:
    report = verify(events, Hasher(), {"a": counted})
    return [(finding.fault.value, finding.sequence, finding.until) for finding in report.findings]


def test_events_counted_by_the_last_heartbeat_but_missing_were_cut_off() -> None:
    assert cut_off(build_chain(8)[:6], HeartbeatCount(written=8)) == [("cut off", 6, 7)]
    assert cut_off(build_chain(8)[2:6], HeartbeatCount(written=8)) == [("cut off", 6, 7)]


def test_events_after_the_last_heartbeat_are_not_findings() -> None:
    assert cut_off(build_chain(8), HeartbeatCount(written=5)) == []
    assert cut_off(build_chain(8), HeartbeatCount()) == []


def test_dropped_events_at_the_end_were_not_cut_off() -> None:
    dropped = frozenset({3, 6, 7})
    assert cut_off(build_chain(8, dropped=dropped), HeartbeatCount(written=5, dropped=3)) == []
    assert cut_off(build_chain(8, dropped=dropped)[:4], HeartbeatCount(written=5, dropped=3)) == [("cut off", 5, 7)]


def test_instance_without_any_event_is_counted() -> None:
    report = verify(
        build_chain(3),
        Hasher(),
        {"a": HeartbeatCount(written=3), "gone": HeartbeatCount(written=9), "idle": HeartbeatCount()},
    )
    assert (report.findings, report.not_there) == ([], 1)


def test_instance_with_heartbeats_of_a_future_time_is_counted() -> None:
    report = verify(build_chain(3), Hasher(), {"a": HeartbeatCount(written=3, is_ahead=True), "b": HeartbeatCount()})
    assert (report.findings, report.ahead) == ([], 1)


def test_range_from_the_middle_can_be_verified_alone() -> None:
    report = verify(build_chain(8)[3:6], Hasher())
    assert (report.findings, report.cut_heads) == ([], 1)


def test_another_key_finds_every_event_changed() -> None:
    report = verify(build_chain(3, key=b"0123456789abcdef"), Hasher())
    assert [finding.fault for finding in report.findings] == [Fault.CHANGED] * 3


@pytest.mark.parametrize("audit", [None, {}, {"prev": "x"}, "text"])
def test_event_without_a_chain_is_named(audit: object) -> None:
    events = build_chain(2)
    assert find_in_chain([*events, {**events[1], "event": {"id": "x", "sequence": 2}, "audit": audit}]) == [
        ("unreadable", 2, 2)
    ]


@given(st.integers(0, 9), st.sampled_from(["change", "remove"]))
def test_tampering_with_any_event_but_the_last_is_found(index: int, how: str) -> None:
    events = build_chain(11)
    if how == "change":
        events[index]["status"] = "success"
    else:
        del events[index]
    if (how, index) != ("remove", 0):
        assert find_in_chain(events) == [({"change": "changed", "remove": "removed"}[how], index, index)]
    else:
        assert verify(events, Hasher()).cut_heads == 1
