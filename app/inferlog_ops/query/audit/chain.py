"""Follows the chain of each instance and names every event at which it does not hold. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any

from inferlog.audit import FIRST, Hasher, split

Event = dict[str, Any]


class Fault(StrEnum):
    """What is wrong at an event."""

    CHANGED = "changed"
    """Its own hash does not fit its content."""
    REMOVED = "removed"
    """It was there when the next one was written: that one's ``audit.prev`` says so."""
    PUT_IN = "put in"
    """It does not continue the chain, or its sequence number is there already."""
    CUT_OFF = "cut off"
    """A heartbeat has counted it, and no event after it is there: removed from the end, or not shipped yet."""
    UNREADABLE = "unreadable"
    """It carries no chain, or no usable time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """
    What an instance's last heartbeat says of its events.

    Attributes:
        written: How many the sink has taken.
        dropped: How many it has not; each has used up a sequence number, too.
    """

    written: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One event that was changed, removed or put in, or several that are missing in a row.

    Attributes:
        fault: What is wrong.
        instance_id: ``service.instance.id`` of the chain.
        sequence: ``event.sequence``; the first one of several that were removed in a row.
        until: The last one of these; *sequence* itself for a single event.
        event_id: ``event.id``; None for what is not there any more.
    """

    fault: Fault
    instance_id: str
    sequence: int
    until: int
    event_id: str | None


@dataclass(slots=True, kw_only=True)
class Report:
    """
    What was checked and found.

    Attributes:
        events: How many events were read.
        instances: How many chains.
        dropped: Holes in ``event.sequence`` across which the chain goes on: the sink could not write these.
        cut_heads: Chains that begin after their first event, by the range asked for, by retention or by a hand.
        not_there: Instances whose heartbeats count events of which none is there, for one of the same reasons.
        findings: In order of instance and sequence.
    """

    events: int = 0
    instances: int = 0
    dropped: int = 0
    cut_heads: int = 0
    not_there: int = 0
    findings: list[Finding] = field(default_factory=list)


def verify(events: Iterable[Event], hasher: Hasher, counted: Mapping[str, Counted] | None = None) -> Report:
    """
    Check *events*, which come by instance and within one by sequence.

    The events of a range can be checked on their own: what the first one links to is then not known, and is counted
    in ``cut_heads``.

    Args:
        events: As they were read.
        hasher: With the key of the chain.
        counted: What each instance's last heartbeat in the range has counted. What is missing at the end of a chain
            cannot be seen in the chain itself.
    """
    report = Report()
    expected = {instance: count for instance, count in (counted or {}).items() if count.written}
    for name, chain in groupby(events, key=instance_id):
        report.instances += 1
        _follow(name, chain, hasher, report, expected.pop(name, Counted()))
    report.not_there = len(expected)
    return report


def _follow(instance: str, chain: Iterable[Event], hasher: Hasher, report: Report, counted: Counted) -> None:
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
        sequence, event_id = _sequence(event), _event_id(event)
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


def instance_id(event: Event) -> str:
    """Return ``service.instance.id``, or nothing where there is none."""
    try:
        return str(event["service"]["instance"]["id"])
    except (KeyError, TypeError):
        return ""


def _sequence(event: Event) -> int:
    try:
        return int(event["event"]["sequence"])
    except (KeyError, TypeError, ValueError):
        return -1


def _event_id(event: Event) -> str | None:
    try:
        return str(event["event"]["id"])
    except (KeyError, TypeError):
        return None


def order(event: Event) -> tuple[str, int]:
    """Return what events are sorted by before they are verified."""
    return instance_id(event), _sequence(event)
