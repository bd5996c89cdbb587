"""What a fault is."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tests.chaos.dirs import Dirs
from tests.chaos.stack import Stack

Strike = Callable[[Stack, float], Generator[float]]
"""
Breaks something of a stack for so many seconds and mends it, in steps.

Yields how many seconds to wait before the next step, so that two faults can take turns. Whatever it has broken is
mended in a ``finally``: the wait may end with an exception.
"""


class MissedError(Exception):
    """The fault did not happen, so that nothing is proven; the message says how that showed."""


class Part(StrEnum):
    """What a fault can lay its hands on, by its name for people."""

    SERVICE = "the service's workers"
    CLOCK = "the service's clock"
    LOG_FILES = "the log files"
    SHIPPER = "the shipper"
    ANSWERS = "the answers to the shipper"
    ENGINE = "Elasticsearch"


def _nothing(_: Dirs) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    One thing that goes wrong.

    Attributes:
        name: As it is asked for.
        what: In one sentence, for people.
        strike: Does it.
        breaks: What nobody else may break meanwhile: one of the two would undo or hide the other.
        seconds: How long; as it stands in the catalogue, in the full matrix.
        short_seconds: How long, in the short one.
        paired_seconds: How long, where it meets another.
        environment: More of the service's environment.
        proxied: Whether the shipper has to go through the proxy.
        kills_workers: Whether a process of the service is killed: what it has just answered may have no event.
        stills_workers: Whether a process of the service stands still: who waits for it may lose patience.
        fills_disk: Whether the disk refuses events of the service.
        removes_files: Whether files are deleted before they are shipped.
        removes_files_in_use: Whether the service is writing to these files.
    """

    name: str
    what: str
    inject: Strike
    breaks: frozenset[Part] = frozenset()
    seconds: float = 20.0
    short_seconds: float = 4.0
    paired_seconds: float = 20.0
    environment: Callable[[Dirs], Mapping[str, str]] = field(default=_nothing)
    proxied: bool = False
    kills_workers: bool = False
    stills_workers: bool = False
    fills_disk: bool = False
    removes_files: bool = False
    removes_files_in_use: bool = False
