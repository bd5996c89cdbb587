"""Matching of requests and events: examples, and comparison with plain Python."""

import itertools
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.core.progress import ignore_progress
from inferlog_ops.query.reconcile.events import RequestEvent
from inferlog_ops.query.reconcile.matching import Matching
from inferlog_ops.query.reconcile.records import ClientRecords, read_records
from tests.support.reconciling import DUE, make_event, make_record, write_records


def read(*sent: dict[str, Any]) -> ClientRecords:
    with TemporaryDirectory() as directory:
        return read_records(
            [write_records(Path(directory) / "client.jsonl", sent)], run_id=None, report=ignore_progress
        )


def test_matching_is_complete_with_one_event_per_request() -> None:
    matching = Matching.from_records(read(make_record("a"), make_record("b")), [[make_event("b")], [make_event("a")]])
    assert matching.has_event.all()
    assert [*matching.lost, *matching.without_event, *matching.duplicated, *matching.mismatches] == []
    assert (matching.surplus, matching.copies, matching.strangers) == (0, 0, 0)


def test_answered_request_without_event_is_lost_unanswered_is_not() -> None:
    silent = {"status_code": None, "outcome": "unanswered"}
    matching = Matching.from_records(
        read(make_record("a"), make_record("b", **silent), make_record("c", outcome="broken")), []
    )
    assert matching.lost == ["a", "c"]
    assert matching.without_event == ["b"]


def test_second_event_is_a_duplicate_and_same_event_id_a_copy() -> None:
    events = [
        make_event("a"),
        make_event("a"),
        make_event("b"),
        make_event("b", event_id="another"),
        make_event("b", event_id="a third"),
    ]
    matching = Matching.from_records(read(make_record("a"), make_record("b")), [events])
    assert matching.duplicated == ["a", "b"]
    assert (matching.surplus, matching.copies) == (3, 1)


@pytest.mark.parametrize("order", sorted(set(itertools.permutations(["one", "other", "other"]))))
def test_copies_are_counted_in_any_order(order: tuple[str, ...]) -> None:
    matching = Matching.from_records(
        read(make_record("a")), [[make_event("a", event_id=event_id) for event_id in order]]
    )
    assert (matching.surplus, matching.copies) == (2, 1)


def test_event_without_request_is_a_stranger_within_the_run() -> None:
    before, after = DUE - timedelta(seconds=1), DUE + timedelta(seconds=1)
    strangers = [make_event("x"), make_event(None), make_event("y", ended_at=before), make_event("z", ended_at=after)]
    matching = Matching.from_records(read(make_record("a")), [[*strangers, make_event("a")]])
    assert matching.strangers == 2
    assert matching.some_strangers == ["x", "(none)"]


@pytest.mark.parametrize("ahead", [timedelta(seconds=90), timedelta(seconds=-90)])
@pytest.mark.parametrize("first", ["of requests", "of strangers"])
def test_strangers_are_counted_in_the_range_of_the_queries(ahead: timedelta, first: str) -> None:
    """The service's clock is a minute and a half ahead of the client's, or behind."""
    own = [make_event("a", ended_at=DUE + ahead), make_event("b", ended_at=DUE + ahead * 1.1)]
    others = [make_event(f"at {share}", ended_at=DUE + share * ahead) for share in (0.5, 1.05, 1.1, 1.2)]
    matching = Matching.from_records(
        read(make_record("a"), make_record("b")), [own, others] if first == "of requests" else [others, own]
    )
    assert (matching.strangers, matching.some_strangers) == (3, ["at 0.5", "at 1.05", "at 1.1"])
    assert (matching.start, matching.end) == (
        min(DUE, DUE + ahead * 1.1),
        max(DUE + timedelta(seconds=0.101), DUE + ahead * 1.1),
    )


@pytest.mark.parametrize(
    ("client", "service"),
    [
        ({}, {"status": "error", "status_code": 500}),
        ({}, {"status": "cancelled"}),
        ({}, {"status_code": 201}),
        ({}, {"status_code": None}),
        ({"outcome": "refused", "status_code": 429}, {"status": "rejected", "status_code": 400}),
        ({"outcome": "failed", "status_code": 502}, {}),
        ({"outcome": "broken"}, {}),
        ({"outcome": "left"}, {"status": "error"}),
    ],
)
def test_different_ends_are_reported(client: dict[str, Any], service: dict[str, Any]) -> None:
    matching = Matching.from_records(read(make_record("a", **client)), [[make_event("a", **service)]])
    (mismatch,) = matching.mismatches
    assert mismatch.correlation_id == "a"
    assert mismatch.outcome == client.get("outcome", "answered")
    assert mismatch.status == service.get("status", "success")


@pytest.mark.parametrize(
    ("client", "service"),
    [
        ({"outcome": "refused", "status_code": 429}, {"status": "rejected", "status_code": 429}),
        ({"outcome": "failed", "status_code": 504}, {"status": "error", "status_code": 504}),
        ({"outcome": "failed"}, {"status": "error"}),
        ({"outcome": "broken"}, {"status": "cancelled"}),
        ({"outcome": "left"}, {"status": "cancelled"}),
        ({"outcome": "left"}, {}),
        ({"outcome": "unanswered", "status_code": None}, {}),
        ({"outcome": "abandoned", "status_code": None}, {"status": "cancelled", "status_code": None}),
    ],
)
def test_compatible_ends_are_not_mismatches(client: dict[str, Any], service: dict[str, Any]) -> None:
    assert not Matching.from_records(read(make_record("a", **client)), [[make_event("a", **service)]]).mismatches


IDS = st.sampled_from([f"request {number}" for number in range(12)])
ENDS = {
    "answered": ("success", 200),
    "refused": ("rejected", 400),
    "failed": ("error", 500),
    "unanswered": (None, None),
}


@st.composite
def records_and_events(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[RequestEvent]]:
    sent = []
    for correlation_id in draw(st.lists(IDS, unique=True, min_size=1)):
        outcome = draw(st.sampled_from(sorted(ENDS)))
        sent.append(make_record(correlation_id, outcome=outcome, status_code=ENDS[outcome][1]))
    written = [
        make_event(
            draw(IDS),
            event_id=draw(st.sampled_from(["e1", "e2", "e3"])),
            status=draw(st.sampled_from(["success", "rejected", "error"])),
            status_code=draw(st.sampled_from([200, 400, 500])),
            latency_seconds=draw(st.one_of(st.none(), st.floats(0, 10))),
        )
        for _ in range(draw(st.integers(0, 20)))
    ]
    return sent, written


@given(records_and_events(), st.integers(1, 5))
def test_matching_equals_plain_python(both: tuple[list[dict[str, Any]], list[RequestEvent]], page: int) -> None:
    sent, written = both
    matching = Matching.from_records(
        read(*sent), [written[begin : begin + page] for begin in range(0, len(written), page)]
    )
    by_id = defaultdict(list)
    for each in written:
        by_id[each.correlation_id].append(each)
    known = {each["correlation_id"]: each for each in sent}
    answered = {each for each in known if known[each]["status_code"]}
    assert set(matching.lost) == answered - by_id.keys()
    assert set(matching.without_event) == known.keys() - answered - by_id.keys()
    assert set(matching.duplicated) == {each for each in known if len(by_id[each]) > 1}
    assert matching.surplus == sum(max(0, len(by_id[each]) - 1) for each in known)
    assert matching.copies == sum(len(by_id[each]) - len({one.event_id for one in by_id[each]}) for each in known)
    assert matching.strangers == sum(len(found) for each, found in by_id.items() if each not in known)
    assert {each.correlation_id for each in matching.mismatches} == {
        each
        for each in answered & {name for name, found in by_id.items() if found}
        if ENDS[known[each]["outcome"]] != (by_id[each][0].status, by_id[each][0].status_code)
    }
