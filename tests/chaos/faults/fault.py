"""Fault: an injection, its target, and its expected effects."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tests.chaos.stack import Stack
from tests.chaos.trial_dirs import TrialDirs

Injection = Callable[[Stack, float], Generator[float]]
"""
Breaks a part of the stack for some seconds and repairs it, in steps.

Yields the seconds until its next step, so that two faults can take turns. Repairs in a ``finally`` block, because the
wait may raise.
"""


class MissedError(Exception):
    """The fault had no effect, so the trial proves nothing; the message names the symptom."""


class FaultTarget(StrEnum):
    """Part of the stack that a fault breaks."""

    SERVICE = "the service's workers"
    CLOCK = "the service's clock"
    LOG_FILES = "the log files"
    SHIPPER = "the shipper"
    ANSWERS = "the answers to the shipper"
    ENGINE = "Elasticsearch"


def _change_nothing(_: TrialDirs) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    One fault of `fault_list`.

    Attributes:
        name: Name on the command line.
        what: Description in one sentence.
        inject: Breaks and repairs the stack.
        breaks: Targets that no other fault may break at the same time: one would undo or hide the other.
        seconds: Duration in the full matrix.
        short_seconds: Duration in the short matrix.
        paired_seconds: Duration together with another fault.
        environment: Additional environment of the service.
        proxied: Whether the shipper must connect through the proxy.
        kills_workers: Whether a service process is killed: its last answered request may have no event.
        stills_workers: Whether a service process is suspended: clients may time out.
        fills_disk: Whether the disk rejects events of the service.
        removes_files: Whether files are deleted before they are shipped.
        removes_files_in_use: Whether the service is writing to these files.
    """

    name: str
    what: str
    inject: Injection
    breaks: frozenset[FaultTarget] = frozenset()
    seconds: float = 20.0
    short_seconds: float = 4.0
    paired_seconds: float = 20.0
    environment: Callable[[TrialDirs], Mapping[str, str]] = field(default=_change_nothing)
    proxied: bool = False
    kills_workers: bool = False
    stills_workers: bool = False
    fills_disk: bool = False
    removes_files: bool = False
    removes_files_in_use: bool = False
