"""Invariants that hold under every fault. Pure."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tests.chaos.evidence import Evidence
from tests.chaos.faults.fault import Fault
from tests.chaos.load import PATIENCE_SECONDS


def check_invariants(seen: Evidence, faults: Sequence[Fault]) -> list[str]:
    """Return one sentence for each invariant that *seen* violates under *faults*."""
    return [sentence for check in _CHECKS for sentence in check(seen, faults)]


def _check_every_line_once(seen: Evidence, _: Sequence[Fault]) -> Iterator[str]:
    account = seen.account
    if lost := account.lost - account.lost_by_removal:
        yield f"{lost} lines on the disk are neither in the store nor among the dead letters"
    if account.duplicated:
        yield f"{account.duplicated} documents are in the store a second time"
    if account.unknown:
        yield f"{account.unknown} documents are in the store but were never on the disk"
    if account.found + account.dead_lettered + account.lost != account.written:
        yield (
            f"{account.written} lines written are not {account.found} found, {account.dead_lettered} dead letters "
            f"and {account.lost} lost"
        )


def _check_dead_letters(seen: Evidence, _: Sequence[Fault]) -> Iterator[str]:
    if seen.wrong_letters:
        yield f"{seen.wrong_letters} valid lines are dead letters"
    if seen.account.dead_lettered - seen.wrong_letters != seen.dead_lines:
        yield f"of {seen.dead_lines} lines that no store accepts, {seen.account.dead_lettered} are dead letters"
    if seen.account.twice_a_letter:
        yield f"{seen.account.twice_a_letter} lines are dead letters twice, or dead letters and in the store"


def _check_catch_up(seen: Evidence, _: Sequence[Fault]) -> Iterator[str]:
    if seen.caught_up_seconds is None:
        yield "the shipper did not catch up"


def _check_losses_are_reported(seen: Evidence, _: Sequence[Fault]) -> Iterator[str]:
    instances = seen.dropped.keys() | seen.removed.keys() | seen.reported.keys() | seen.heartbeats.keys()
    for instance in sorted(instances):
        expected, reported = _count_missing(seen, instance), seen.reported.get(instance, 0)
        if reported != expected:
            yield f"inferlog query lost_events reports {reported} lost events of {instance}; {expected} are missing"


def _count_missing(seen: Evidence, instance: str) -> int:
    """Return how many lost events of *instance* the index can prove."""
    missing = seen.dropped.get(instance, 0) + seen.removed.get(instance, 0)
    heartbeat = seen.heartbeats.get(instance)
    if heartbeat is None:  # the index does not contain the start of the instance
        return missing - seen.dropped_at_first.get(instance, 0)
    counted = heartbeat.events_written + heartbeat.events_dropped
    at_the_end = counted - seen.on_disk.get(instance, 0) - seen.dropped.get(instance, 0)
    return missing + max(0, min(at_the_end, heartbeat.events_dropped - missing))


def _check_losses_are_logged(seen: Evidence, faults: Sequence[Fault]) -> Iterator[str]:
    lost = sum(seen.dropped.values()) or any(fault.removes_files_in_use for fault in faults)
    if lost and not seen.complaints:
        yield "events were lost, and the service wrote nothing about it to standard error"
    # A worker killed on a full disk may have reported events that cannot be counted.
    if seen.complaints and not lost and not any(fault.fills_disk for fault in faults):
        yield f"the service wrote {seen.complaints} lines about lost events to standard error; none was lost"


def _check_heartbeats_agree(seen: Evidence, _: Sequence[Fault]) -> Iterator[str]:
    for instance, on_disk in seen.on_disk.items():
        heartbeat = seen.heartbeats.get(instance)
        if heartbeat is None:
            yield f"{instance} has written {on_disk} events and no heartbeat"
            continue
        written, dropped = heartbeat.events_written, heartbeat.events_dropped
        if on_disk < written or (heartbeat.stopped and on_disk != written):
            yield f"{instance} reports {written} written events; {on_disk} are on the disk"
        if heartbeat.stopped and dropped != seen.dropped.get(instance, 0):
            yield f"{instance} reports {dropped} dropped events; {seen.dropped.get(instance, 0)} are missing"


def _check_only_a_full_disk_drops(seen: Evidence, faults: Sequence[Fault]) -> Iterator[str]:
    dropped = sum(seen.dropped.values())
    if dropped and not any(fault.fills_disk for fault in faults):
        yield f"the service has dropped {dropped} events although the disk took all"
    if not dropped and any(fault.fills_disk for fault in faults):
        yield "the fault did not happen: the disk took every event"
    if not seen.account.lost_by_removal and any(fault.removes_files for fault in faults):
        yield "the fault did not happen: nothing is lost by the file that was deleted"


def _check_every_request_is_answered(seen: Evidence, faults: Sequence[Fault]) -> Iterator[str]:
    traffic = seen.traffic
    if traffic.failed:
        yield f"of {traffic.sent} requests, {traffic.failed} were answered with an error"
    if any(fault.kills_workers or _causes_timeouts(fault) for fault in faults):
        return
    if unanswered := traffic.sent - traffic.answered - traffic.failed:
        yield f"of {traffic.sent} requests, {unanswered} got no answer"


def _causes_timeouts(fault: Fault) -> bool:
    # Half: a resumed worker must first answer all waiting requests.
    return fault.stills_workers and fault.seconds > PATIENCE_SECONDS / 2


def _check_every_answer_has_its_event(seen: Evidence, faults: Sequence[Fault]) -> Iterator[str]:
    without, dropped = seen.traffic.without_event, sum(seen.dropped.values())
    if not any(fault.kills_workers for fault in faults):
        if without > dropped:
            yield f"{without} answered requests have no event on the disk, but only {dropped} were dropped"
        return
    if any(fault.fills_disk for fault in faults):
        return  # events dropped by a killed worker since its last event are not recorded
    killed = sum(not heartbeat.stopped for heartbeat in seen.heartbeats.values())
    # A worker writes the event right after the last byte of the response, before it handles another request.
    if without > dropped + killed:
        yield (
            f"{without} answered requests have no event on the disk, but only {dropped} were dropped "
            f"and {killed} workers killed"
        )


def _check_there_was_load(seen: Evidence, _: Sequence[Fault]) -> Iterator[str]:
    traffic = seen.traffic
    for when, p99_seconds in (("before", traffic.p99_before_seconds), ("during", traffic.p99_during_seconds)):
        if p99_seconds is None:
            yield f"none of the requests {when} the fault was answered: there was no load"


_Check = Callable[[Evidence, Sequence[Fault]], Iterator[str]]
_CHECKS: Final[tuple[_Check, ...]] = (
    _check_every_line_once,
    _check_dead_letters,
    _check_catch_up,
    _check_losses_are_reported,
    _check_losses_are_logged,
    _check_heartbeats_agree,
    _check_only_a_full_disk_drops,
    _check_every_request_is_answered,
    _check_every_answer_has_its_event,
    _check_there_was_load,
)
