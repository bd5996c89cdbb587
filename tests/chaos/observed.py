"""What one trial has shown. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.chaos.account import Account
from tests.chaos.heartbeats import Heartbeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """
    What the load saw.

    Attributes:
        sent: Requests.
        answered: Of these, got what they asked for: status 200.
        failed: Of these, got another answer.
        without_event: Of the answered and the failed, have no event on the disk.
        p99_before_seconds: Of the answered requests before the fault; None without any.
        p99_during_seconds: Of those while it lasted.
    """

    sent: int
    answered: int
    failed: int
    without_event: int
    p99_before_seconds: float | None
    p99_during_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """
    Everything that promises are about. Events by instance where nothing else is said.

    Attributes:
        account: What became of every line on the disk.
        on_disk: Whole events.
        dropped: Numbers that are missing on the disk before the last one there.
        dropped_at_first: Of these, those before the first one there.
        removed: Events that lay in a file which was deleted, and are lost by that.
        reported: What the query ``lost_events`` says.
        heartbeats: What each process said last.
        complaints: Lines that the service's processes wrote to standard error about lost events.
        dead_lines: Lines on the disk that no store takes.
        wrong_letters: Dead letters of other lines.
        caught_up_seconds: From the end of the fault until all that was on the disk by then was answered; None: never.
        traffic: What the load saw.
    """

    account: Account
    on_disk: Mapping[str, int]
    dropped: Mapping[str, int]
    dropped_at_first: Mapping[str, int]
    removed: Mapping[str, int]
    reported: Mapping[str, int]
    heartbeats: Mapping[str, Heartbeat]
    complaints: int
    dead_lines: int
    wrong_letters: int
    caught_up_seconds: float | None
    traffic: Traffic
