"""Requests and events, matched: by examples, and against what plain Python makes of the same."""

import itertools
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.core.progress import say_nothing
from inferlog_ops.query.reconcile.events import Event
from inferlog_ops.query.reconcile.matching import Matching
from inferlog_ops.query.reconcile.records import Records, read_records
from tests.support.reconciling import DUE, event, record, write_records


def read(*sent: dict[str, Any]) -> Records:
    with TemporaryDirectory() as directory:
        return read_records([write_records(Path(directory) / "client.jsonl", sent)], run_id=None, say=say_nothing)


def test_one_event_for_each_request_is_all_there_should_be() -> None:
    matching = Matching.of(read(record("a"), record("b")), [[event("b")], [event("a")]])
    assert matching.has_event.all()
    assert [*matching.lost, *matching.without_event, *matching.duplicated, *matching.mismatches] == []
    assert (matching.surplus, matching.copies, matching.strangers) == (0, 0, 0)


def test_an_answer_without_event_is_lost_and_no_answer_without_event_is_explained() -> None:
    silent = {"status_code": None, "outcome": "unanswered"}
    matching = Matching.of(read(record("a"), record("b", **silent), record("c", outcome="broken")), [])
    assert matching.lost == ["a", "c"]
    assert matching.without_event == ["b"]


def test_a_second_event_is_a_duplicate_and_the_same_in_the_index_twice_is_a_copy() -> None:
    events = [event("a"), event("a"), event("b"), event("b", event_id="another"), event("b", event_id="a third")]
    matching = Matching.of(read(record("a"), record("b")), [events])
    assert matching.duplicated == ["a", "b"]
    assert (matching.surplus, matching.copies) == (3, 1)


@pytest.mark.parametrize("order", sorted(set(itertools.permutations(["one", "other", "other"]))))
def test_a_copy_is_one_in_whichever_order_the_index_gives_the_events(order: tuple[str, ...]) -> None:
    matching = Matching.of(read(record("a")), [[event("a", event_id=event_id) for event_id in order]])
    assert (matching.surplus, matching.copies) == (2, 1)


def test_an_event_of_no_request_is_a_stranger_if_it_lies_within_the_run() -> None:
    before, after = DUE - timedelta(seconds=1), DUE + timedelta(seconds=1)
    strangers = [event("x"), event(None), event("y", ended_at=before), event("z", ended_at=after)]
    matching = Matching.of(read(record("a")), [[*strangers, event("a")]])
    assert matching.strangers == 2
    assert matching.some_strangers == ["x", "(none)"]


@pytest.mark.parametrize("ahead", [timedelta(seconds=90), timedelta(seconds=-90)])
@pytest.mark.parametrize("first", ["of requests", "of strangers"])
def test_strangers_are_those_in_the_range_that_the_dashboards_are_asked_about(ahead: timedelta, first: str) -> None:
    """The service's clock is a minute and a half ahead of the client's, or behind."""
    own = [event("a", ended_at=DUE + ahead), event("b", ended_at=DUE + ahead * 1.1)]
    others = [event(f"at {share}", ended_at=DUE + share * ahead) for share in (0.5, 1.05, 1.1, 1.2)]
    matching = Matching.of(read(record("a"), record("b")), [own, others] if first == "of requests" else [others, own])
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
def test_different_ends_are_told(client: dict[str, Any], service: dict[str, Any]) -> None:
    matching = Matching.of(read(record("a", **client)), [[event("a", **service)]])
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
def test_ends_that_client_and_service_may_see_so_are_the_same(client: dict[str, Any], service: dict[str, Any]) -> None:
    assert not Matching.of(read(record("a", **client)), [[event("a", **service)]]).mismatches


IDS = st.sampled_from([f"request {number}" for number in range(12)])
ENDS = {
    "answered": ("success", 200),
    "refused": ("rejected", 400),
    "failed": ("error", 500),
    "unanswered": (None, None),
}


@st.composite
def records_and_events(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[Event]]:
    sent = []
    for correlation_id in draw(st.lists(IDS, unique=True, min_size=1)):
        outcome = draw(st.sampled_from(sorted(ENDS)))
        sent.append(record(correlation_id, outcome=outcome, status_code=ENDS[outcome][1]))
    written = [
        event(
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
def test_it_is_what_plain_python_finds(both: tuple[list[dict[str, Any]], list[Event]], page: int) -> None:
    sent, written = both
    matching = Matching.of(read(*sent), [written[begin : begin + page] for begin in range(0, len(written), page)])
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
