"""Each promise, and what breaks it."""

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.account import Account
from tests.chaos.catalogue import FAULTS
from tests.chaos.faults.fault import Fault
from tests.chaos.heartbeats import Heartbeat
from tests.chaos.invariants import broken_promises
from tests.chaos.observed import Observed, Traffic

CALM = [FAULTS["no-fault"]]
FULL_DISK = [FAULTS["disk-full-service"]]
REMOVED = [FAULTS["deleted-file"]]
IN_USE = [FAULTS["deleted-in-use"]]

GOOD = Observed(
    account=Account(
        written=110,
        found=100,
        lost=0,
        lost_by_removal=0,
        duplicated=0,
        dead_lettered=10,
        twice_a_letter=0,
        unknown=0,
    ),
    on_disk={"a": 60, "b": 40},
    dropped={},
    dropped_at_first={},
    removed={},
    reported={},
    heartbeats={
        "a": Heartbeat(events_written=60, events_dropped=0, stopped=True),
        "b": Heartbeat(events_written=39, events_dropped=0, stopped=False),
    },
    complaints=0,
    dead_lines=10,
    wrong_letters=0,
    caught_up_seconds=1.5,
    traffic=Traffic(
        sent=100, answered=100, failed=0, without_event=0, p99_before_seconds=0.01, p99_during_seconds=0.02
    ),
)


def _spoilt(**differing: Any) -> Observed:
    inner = {
        name: replace(whole, **{field: differing.pop(field) for field in list(differing) if hasattr(whole, field)})
        for name, whole in (("account", GOOD.account), ("traffic", GOOD.traffic))
    }
    return replace(GOOD, **inner, **differing)


def test_where_everything_holds_nothing_is_broken() -> None:
    assert broken_promises(GOOD, CALM) == []


@pytest.mark.parametrize(
    ("differing", "sentence"),
    [
        ({"lost": 3, "found": 97}, "3 lines that lay on the disk are neither in the store nor among the dead letters"),
        ({"duplicated": 2}, "2 documents are in the store a second time"),
        ({"unknown": 1}, "1 documents are in the store that never lay on the disk"),
        ({"found": 99}, "110 lines written are not 99 found, 10 dead letters and 0 lost"),
        ({"wrong_letters": 1, "dead_lines": 9}, "1 lines that a store takes are dead letters"),
        ({"dead_lines": 11}, "of 11 lines that no store takes, 10 are dead letters"),
        ({"twice_a_letter": 1}, "1 lines are dead letters twice"),
        ({"caught_up_seconds": None}, "the shipper did not catch up"),
        ({"reported": {"a": 2}}, "lost_events says 2 of a, of which 0 are missing"),
        ({"on_disk": {"a": 60, "b": 38}}, "b says that it has written 39 events; on the disk are 38"),
        ({"on_disk": {"a": 61, "b": 40}}, "a says that it has written 60 events; on the disk are 61"),
        ({"heartbeats": {"a": GOOD.heartbeats["a"]}}, "b has written 40 events and no heartbeat"),
        ({"answered": 98}, "of 100 requests, 2 got no answer"),
        ({"answered": 0, "failed": 100}, "of 100 requests, 100 were answered with an error"),
        ({"without_event": 1}, "1 answered requests have no event on the disk, but only 0 were dropped"),
        ({"p99_before_seconds": None}, "none of the requests before the fault was answered: there was no load"),
        ({"p99_during_seconds": None}, "none of the requests during the fault was answered: there was no load"),
    ],
)
def test_what_goes_wrong_is_said(differing: dict[str, Any], sentence: str) -> None:
    (said,) = broken_promises(_spoilt(**differing), CALM)
    assert sentence in said


def test_a_heartbeat_between_two_events_may_be_behind() -> None:
    assert broken_promises(_spoilt(on_disk={"a": 60, "b": 45}), CALM) == []


def test_a_killed_worker_takes_one_event_with_it_at_most() -> None:
    """In `GOOD` one process has not said goodbye."""
    assert broken_promises(_spoilt(without_event=1), [FAULTS["kill-worker"]]) == []
    (said,) = broken_promises(_spoilt(without_event=2), [FAULTS["kill-worker"]])
    assert said == "2 answered requests have no event on the disk, but only 0 were dropped and 1 workers killed"


def test_a_killed_worker_leaves_requests_without_an_answer_and_answers_none_with_an_error() -> None:
    faults = [FAULTS["kill-worker"]]
    assert broken_promises(_spoilt(answered=97), faults) == []
    (said,) = broken_promises(_spoilt(answered=97, failed=1), faults)
    assert said == "of 100 requests, 1 were answered with an error"


def test_who_waits_for_a_worker_that_stands_still_is_answered_unless_his_patience_ends() -> None:
    seen = _spoilt(answered=97)
    assert broken_promises(seen, [replace(FAULTS["stop-worker"], seconds=90)]) == []
    (said,) = broken_promises(seen, [FAULTS["stop-worker"]])
    assert said == "of 100 requests, 3 got no answer"


@pytest.mark.parametrize("name", ["disk-full-service", "read-only-logs"])
def test_a_full_disk_is_no_excuse_for_an_error(name: str) -> None:
    seen = replace(_dropped(7, told=7, reported=7), traffic=_spoilt(answered=50, failed=50).traffic)
    (said,) = broken_promises(seen, [FAULTS[name]])
    assert said == "of 100 requests, 50 were answered with an error"


def test_what_a_killed_worker_had_dropped_nobody_can_count() -> None:
    faults = [FAULTS["kill-worker"], *FULL_DISK]
    assert (
        broken_promises(replace(_dropped(7, told=7, reported=7), traffic=_spoilt(without_event=50).traffic), faults)
        == []
    )


def _dropped(count: int, *, told: int, reported: int) -> Any:
    heartbeats = GOOD.heartbeats | {"a": Heartbeat(events_written=60, events_dropped=told, stopped=True)}
    return _spoilt(
        dropped={"a": count}, reported={"a": reported}, heartbeats=heartbeats, complaints=1, without_event=count
    )


def test_what_a_full_disk_refuses_may_be_missing_where_heartbeat_and_query_say_so() -> None:
    assert broken_promises(_dropped(7, told=7, reported=7), FULL_DISK) == []


def test_dropped_events_that_a_heartbeat_or_the_query_passes_over_break_a_promise() -> None:
    (unsaid,) = broken_promises(_dropped(7, told=5, reported=7), FULL_DISK)
    assert "a says that 5 were dropped; missing are 7" in unsaid
    (unreported,) = broken_promises(_dropped(7, told=7, reported=6), FULL_DISK)
    assert "lost_events says 6 of a, of which 7 are missing" in unreported


def test_events_dropped_before_the_first_one_are_reported_where_a_heartbeat_says_when_the_process_began() -> None:
    dropped = replace(_dropped(7, told=7, reported=7), dropped_at_first={"a": 3})
    assert broken_promises(dropped, FULL_DISK) == []
    (unsaid,) = broken_promises(replace(_dropped(7, told=4, reported=7), dropped_at_first={"a": 3}), FULL_DISK)
    assert "a says that 4 were dropped; missing are 7" in unsaid


def test_events_dropped_after_the_last_one_are_reported_where_a_heartbeat_counts_them() -> None:
    killed = GOOD.heartbeats | {"b": Heartbeat(events_written=40, events_dropped=5, stopped=False)}
    seen = _spoilt(heartbeats=killed, dropped={"b": 3}, reported={"b": 5}, complaints=1, without_event=3)
    assert broken_promises(seen, FULL_DISK) == []
    (said,) = broken_promises(replace(seen, reported={"b": 3}), FULL_DISK)
    assert "lost_events says 3 of b, of which 5 are missing" in said


def test_a_process_that_wrote_nothing_but_a_heartbeat_is_reported() -> None:
    silent = GOOD.heartbeats | {"c": Heartbeat(events_written=0, events_dropped=4, stopped=False)}
    (said,) = broken_promises(_spoilt(heartbeats=silent, dropped={"a": 0}), CALM)
    assert "lost_events says 0 of c, of which 4 are missing" in said


@pytest.mark.parametrize("faults", [FULL_DISK, IN_USE])
def test_a_loss_of_which_nobody_complains_breaks_a_promise(faults: list[Fault]) -> None:
    lost = {"lost": 7, "lost_by_removal": 7, "removed": {"a": 7}, "found": 93} if faults is IN_USE else {}
    seen = replace(_spoilt(**lost, reported={"a": 7}, complaints=1), dropped={} if lost else {"a": 7})
    silent = replace(seen, complaints=0)
    said = set(broken_promises(silent, faults)) - set(broken_promises(seen, faults))
    assert said == {"events were lost, and the service wrote nothing about it to standard error"}


def test_a_complaint_without_a_loss_breaks_a_promise() -> None:
    (said,) = broken_promises(_spoilt(complaints=2), CALM)
    assert said == "the service wrote 2 lines about lost events to standard error; none was lost"


def test_nothing_is_dropped_while_the_disk_takes_all() -> None:
    (said,) = broken_promises(_dropped(7, told=7, reported=7), CALM)
    assert "dropped 7 events although the disk took all" in said


def test_a_loss_with_a_deleted_file_has_to_be_reported() -> None:
    lost = {"lost": 4, "lost_by_removal": 4, "removed": {"a": 4}, "found": 96}
    assert broken_promises(_spoilt(**lost, reported={"a": 4}), REMOVED) == []
    (said,) = broken_promises(_spoilt(**lost), REMOVED)
    assert "lost_events says 0 of a, of which 4 are missing" in said


@pytest.mark.parametrize("faults", [FULL_DISK, REMOVED])
def test_a_fault_that_shows_nowhere_did_not_happen(faults: list[Fault]) -> None:
    (said,) = broken_promises(GOOD, faults)
    assert "the fault did not happen" in said
