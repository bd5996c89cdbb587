"""Verification of the hash chain of each instance: finds every event that breaks it. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any

from inferlog.audit import FIRST, Hasher, split

Event = dict[str, Any]


class Fault(StrEnum):
    """Kind of damage at an event."""

    CHANGED = "changed"
    """The event's hash does not match its content."""
    REMOVED = "removed"
    """Events are missing: ``audit.prev`` of the next event refers to one of them."""
    PUT_IN = "put in"
    """The event does not continue the chain, or its sequence number is already taken."""
    CUT_OFF = "cut off"
    """Events at the end are missing, though a heartbeat counted them: removed, or not shipped yet."""
    UNREADABLE = "unreadable"
    """The event has no chain fields, or an invalid time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatCount:
    """
    Event counts of an instance's last heartbeat.

    Attributes:
        written: Number of events that the sink accepted.
        dropped: Number of events that the sink dropped; each of them also used a sequence number.
        is_ahead: Whether the instance also has heartbeats with a future time, which are not used yet.
    """

    written: int = 0
    dropped: int = 0
    is_ahead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One changed, removed or inserted event, or a run of missing events.

    Attributes:
        fault: Kind of damage.
        instance_id: ``service.instance.id`` of the chain.
        sequence: ``event.sequence``; of a run, the first.
        until: ``event.sequence`` of the last event of the run; *sequence* for a single event.
        event_id: ``event.id``; None for missing events.
    """

    fault: Fault
    instance_id: str
    sequence: int
    until: int
    event_id: str | None


@dataclass(slots=True, kw_only=True)
class AuditReport:
    """
    Counts and findings of a verification.

    Attributes:
        events: Number of events read.
        instances: Number of chains.
        dropped: Number of events that the sink dropped: gaps in ``event.sequence`` across an intact chain.
        cut_heads: Number of chains that start after their first event: because of the range, retention or deletion.
        not_there: Number of instances with heartbeats that count events, but no events, for the same reasons.
        ahead: Number of instances with heartbeats of a future time: until then, their ends are not verified.
        unreadable_lines: Number of lines of the files that are not valid JSON. Their events are missing in the chains.
        findings: Sorted by instance and sequence.
    """

    events: int = 0
    instances: int = 0
    dropped: int = 0
    cut_heads: int = 0
    not_there: int = 0
    ahead: int = 0
    unreadable_lines: int = 0
    findings: list[Finding] = field(default_factory=list)


def verify(events: Iterable[Event], hasher: Hasher, counted: Mapping[str, HeartbeatCount] | None = None) -> AuditReport:
    """
    Verify *events*, sorted by instance and sequence.

    The events of a range can be verified alone: the predecessor of the first is then unknown, and the chain is
    counted in ``cut_heads``.

    Args:
        events: Documents as they were read.
        hasher: Hash function with the key of the chain.
        counted: Counts of each instance's last heartbeat in the range: the chain itself does not show events
            that are missing at its end.
    """
    counted = counted or {}
    report = AuditReport(ahead=sum(count.is_ahead for count in counted.values()))
    expected = {instance: count for instance, count in counted.items() if count.written}
    for name, chain in groupby(events, key=get_instance_id):
        report.instances += 1
        _verify_chain(name, chain, hasher, report, expected.pop(name, HeartbeatCount()))
    report.not_there = len(expected)
    return report


def _verify_chain(
    instance: str, chain: Iterable[Event], hasher: Hasher, report: AuditReport, counted: HeartbeatCount
) -> None:
    def find(fault: Fault, sequence: int, event_id: str | None, *, until: int | None = None) -> None:
        report.findings.append(
            Finding(
                fault=fault,
                instance_id=instance,
                sequence=sequence,
                until=sequence if until is None else until,
                event_id=event_id,
            )
        )

    last_sequence, last_hash, dropped_before = -1, FIRST, report.dropped
    begun = False
    for event in chain:
        report.events += 1
        sequence, event_id = _read_sequence(event), _read_event_id(event)
        try:
            previous, own, microseconds, body = split(event)
        except ValueError:
            find(Fault.UNREADABLE, sequence, event_id)
            continue
        if begun and sequence <= last_sequence:
            find(Fault.PUT_IN, sequence, event_id)
            continue
        if own != hasher(previous, microseconds, body):
            find(Fault.CHANGED, sequence, event_id)
        hole = sequence - last_sequence - 1
        if not begun and sequence > 0:
            report.cut_heads += 1
        elif previous == last_hash:
            report.dropped += hole
        elif hole:
            find(Fault.REMOVED, last_sequence + 1, None, until=sequence - 1)
        else:
            find(Fault.PUT_IN, sequence, event_id)
        begun, last_sequence, last_hash = True, sequence, own
    until = counted.written + counted.dropped - 1
    dropped_at_the_end = counted.dropped - (report.dropped - dropped_before)  # at most
    if begun and until - last_sequence > max(0, dropped_at_the_end):
        find(Fault.CUT_OFF, last_sequence + 1, None, until=until)


def get_instance_id(event: Event) -> str:
    """Return ``service.instance.id``, or an empty string."""
    try:
        return str(event["service"]["instance"]["id"])
    except (KeyError, TypeError):
        return ""


def _read_sequence(event: Event) -> int:
    try:
        return int(event["event"]["sequence"])
    except (KeyError, TypeError, ValueError):
        return -1


def _read_event_id(event: Event) -> str | None:
    try:
        return str(event["event"]["id"])
    except (KeyError, TypeError):
        return None


def sort_key(event: Event) -> tuple[str, int]:
    """Return the sort key that `verify` requires: instance, then sequence."""
    return get_instance_id(event), _read_sequence(event)
