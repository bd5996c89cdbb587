"""Each invariant, and evidence that violates it."""

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.account import Account
from tests.chaos.evidence import Evidence, Heartbeat, Traffic
from tests.chaos.fault_list import FAULTS
from tests.chaos.faults.fault import Fault
from tests.chaos.invariants import check_invariants

CALM = [FAULTS["no-fault"]]
FULL_DISK = [FAULTS["disk-full-service"]]
REMOVED = [FAULTS["deleted-file"]]
IN_USE = [FAULTS["deleted-in-use"]]

GOOD = Evidence(
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


def _spoil(**differing: Any) -> Evidence:
    inner: dict[str, Any] = {
        name: replace(whole, **{field: differing.pop(field) for field in list(differing) if hasattr(whole, field)})
        for name, whole in (("account", GOOD.account), ("traffic", GOOD.traffic))
    }
    return replace(GOOD, **inner, **differing)


def test_invariants_hold_for_good_evidence() -> None:
    assert check_invariants(GOOD, CALM) == []


@pytest.mark.parametrize(
    ("differing", "sentence"),
    [
        ({"lost": 3, "found": 97}, "3 lines on the disk are neither in the store nor among the dead letters"),
        ({"duplicated": 2}, "2 documents are in the store a second time"),
        ({"unknown": 1}, "1 documents are in the store but were never on the disk"),
        ({"found": 99}, "110 lines written are not 99 found, 10 dead letters and 0 lost"),
        ({"wrong_letters": 1, "dead_lines": 9}, "1 valid lines are dead letters"),
        ({"dead_lines": 11}, "of 11 lines that no store accepts, 10 are dead letters"),
        ({"twice_a_letter": 1}, "1 lines are dead letters twice"),
        ({"caught_up_seconds": None}, "the shipper did not catch up"),
        ({"reported": {"a": 2}}, "lost_events reports 2 lost events of a; 0 are missing"),
        ({"on_disk": {"a": 60, "b": 38}}, "b reports 39 written events; 38 are on the disk"),
        ({"on_disk": {"a": 61, "b": 40}}, "a reports 60 written events; 61 are on the disk"),
        ({"heartbeats": {"a": GOOD.heartbeats["a"]}}, "b has written 40 events and no heartbeat"),
        ({"answered": 98}, "of 100 requests, 2 got no answer"),
        ({"answered": 0, "failed": 100}, "of 100 requests, 100 were answered with an error"),
        ({"without_event": 1}, "1 answered requests have no event on the disk, but only 0 were dropped"),
        ({"p99_before_seconds": None}, "none of the requests before the fault was answered: there was no load"),
        ({"p99_during_seconds": None}, "none of the requests during the fault was answered: there was no load"),
    ],
)
def test_violation_is_reported_in_one_sentence(differing: dict[str, Any], sentence: str) -> None:
    (said,) = check_invariants(_spoil(**differing), CALM)
    assert sentence in said


def test_heartbeat_between_two_events_may_be_behind() -> None:
    assert check_invariants(_spoil(on_disk={"a": 60, "b": 45}), CALM) == []


def test_killed_worker_loses_one_event_at_most() -> None:
    """In `GOOD` one process has not written its last heartbeat."""
    assert check_invariants(_spoil(without_event=1), [FAULTS["kill-worker"]]) == []
    (said,) = check_invariants(_spoil(without_event=2), [FAULTS["kill-worker"]])
    assert said == "2 answered requests have no event on the disk, but only 0 were dropped and 1 workers killed"


def test_killed_worker_leaves_requests_unanswered_but_never_failed() -> None:
    faults = [FAULTS["kill-worker"]]
    assert check_invariants(_spoil(answered=97), faults) == []
    (said,) = check_invariants(_spoil(answered=97, failed=1), faults)
    assert said == "of 100 requests, 1 were answered with an error"


def test_request_to_suspended_worker_is_answered_unless_it_times_out() -> None:
    seen = _spoil(answered=97)
    assert check_invariants(seen, [replace(FAULTS["stop-worker"], seconds=90)]) == []
    (said,) = check_invariants(seen, [FAULTS["stop-worker"]])
    assert said == "of 100 requests, 3 got no answer"


@pytest.mark.parametrize("name", ["disk-full-service", "read-only-logs"])
def test_full_disk_does_not_excuse_an_error(name: str) -> None:
    seen = replace(_drop(7, counted=7, reported=7), traffic=_spoil(answered=50, failed=50).traffic)
    (said,) = check_invariants(seen, [FAULTS[name]])
    assert said == "of 100 requests, 50 were answered with an error"


def test_events_dropped_by_killed_worker_are_not_counted() -> None:
    faults = [FAULTS["kill-worker"], *FULL_DISK]
    assert (
        check_invariants(replace(_drop(7, counted=7, reported=7), traffic=_spoil(without_event=50).traffic), faults)
        == []
    )


def _drop(count: int, *, counted: int, reported: int) -> Any:
    heartbeats = {**GOOD.heartbeats, "a": Heartbeat(events_written=60, events_dropped=counted, stopped=True)}
    return _spoil(
        dropped={"a": count}, reported={"a": reported}, heartbeats=heartbeats, complaints=1, without_event=count
    )


def test_events_rejected_by_full_disk_may_be_missing_when_reported() -> None:
    assert check_invariants(_drop(7, counted=7, reported=7), FULL_DISK) == []


def test_unreported_dropped_events_violate_an_invariant() -> None:
    (unsaid,) = check_invariants(_drop(7, counted=5, reported=7), FULL_DISK)
    assert "a reports 5 dropped events; 7 are missing" in unsaid
    (unreported,) = check_invariants(_drop(7, counted=7, reported=6), FULL_DISK)
    assert "lost_events reports 6 lost events of a; 7 are missing" in unreported


def test_events_dropped_before_the_first_are_reported_when_heartbeat_exists() -> None:
    dropped = replace(_drop(7, counted=7, reported=7), dropped_at_first={"a": 3})
    assert check_invariants(dropped, FULL_DISK) == []
    (unsaid,) = check_invariants(replace(_drop(7, counted=4, reported=7), dropped_at_first={"a": 3}), FULL_DISK)
    assert "a reports 4 dropped events; 7 are missing" in unsaid


def test_events_dropped_after_the_last_are_reported_when_heartbeat_counts_them() -> None:
    killed = {**GOOD.heartbeats, "b": Heartbeat(events_written=40, events_dropped=5, stopped=False)}
    seen = _spoil(heartbeats=killed, dropped={"b": 3}, reported={"b": 5}, complaints=1, without_event=3)
    assert check_invariants(seen, FULL_DISK) == []
    (said,) = check_invariants(replace(seen, reported={"b": 3}), FULL_DISK)
    assert "lost_events reports 3 lost events of b; 5 are missing" in said


def test_process_with_only_a_heartbeat_is_reported() -> None:
    silent = {**GOOD.heartbeats, "c": Heartbeat(events_written=0, events_dropped=4, stopped=False)}
    (said,) = check_invariants(_spoil(heartbeats=silent, dropped={"a": 0}), CALM)
    assert "lost_events reports 0 lost events of c; 4 are missing" in said


@pytest.mark.parametrize("faults", [FULL_DISK, IN_USE])
def test_unlogged_loss_violates_an_invariant(faults: list[Fault]) -> None:
    lost = {"lost": 7, "lost_by_removal": 7, "removed": {"a": 7}, "found": 93} if faults is IN_USE else {}
    seen = replace(_spoil(**lost, reported={"a": 7}, complaints=1), dropped={} if lost else {"a": 7})
    silent = replace(seen, complaints=0)
    said = set(check_invariants(silent, faults)) - set(check_invariants(seen, faults))
    assert said == {"events were lost, and the service wrote nothing about it to standard error"}


def test_logged_loss_without_loss_violates_an_invariant() -> None:
    (said,) = check_invariants(_spoil(complaints=2), CALM)
    assert said == "the service wrote 2 lines about lost events to standard error; none was lost"


def test_dropped_events_violate_an_invariant_when_disk_is_not_full() -> None:
    (said,) = check_invariants(_drop(7, counted=7, reported=7), CALM)
    assert "dropped 7 events although the disk took all" in said


def test_loss_with_deleted_file_must_be_reported() -> None:
    lost = {"lost": 4, "lost_by_removal": 4, "removed": {"a": 4}, "found": 96}
    assert check_invariants(_spoil(**lost, reported={"a": 4}), REMOVED) == []
    (said,) = check_invariants(_spoil(**lost), REMOVED)
    assert "lost_events reports 0 lost events of a; 4 are missing" in said


@pytest.mark.parametrize("faults", [FULL_DISK, REMOVED])
def test_fault_without_effect_is_reported(faults: list[Fault]) -> None:
    (said,) = check_invariants(GOOD, faults)
    assert "the fault did not happen" in said
