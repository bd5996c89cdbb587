"""A store that answers badly: by way of the proxy."""

import time
from collections.abc import Generator

from inferlog_ops.core.cluster import translate_errors
from inferlog_ops.core.streams import stream_name
from tests.chaos import misbehaviour
from tests.chaos.faults.fault import MissedError, Strike
from tests.chaos.misbehaviour import Counted
from tests.chaos.proxy import Behaviour, pass_on
from tests.chaos.stack import Stack

_SECONDS_BETWEEN_ROLLOVERS = 1.5
_SECONDS_BETWEEN_LOOKS = 0.1
_PATIENCE_SECONDS = 60.0


def answering(behaviour: Behaviour, *, shows: bytes) -> Strike:
    """Return the fault of a store that treats each bulk request by *behaviour*, which *shows* in some answers."""

    def inject(stack: Stack, seconds: float) -> Generator[float]:
        stack.proxy.behaviour = counted = Counted(behaviour, shows=shows)
        try:
            yield seconds
            yield from _until_it_shows(counted, 0)
        finally:
            stack.proxy.behaviour = pass_on

    return inject


def roll_over(stack: Stack, seconds: float) -> Generator[float]:
    """Break off each answer, and begin a new backing index before what was stored is sent again."""
    stream = stream_name("events", stack.cluster.namespace)
    stack.proxy.behaviour = tries = Counted(misbehaviour.cut, shows=misbehaviour.STORED, index=stream)
    before = 0
    try:
        with stack.cluster.client() as client, translate_errors(stack.cluster, "rolling over"):
            for _ in range(max(1, int(seconds / _SECONDS_BETWEEN_ROLLOVERS))):
                # Soon after a try was stored: at another time it could come between the shipper's last look at which
                # ids there are and its repetition, some milliseconds that nobody can close from outside of the store.
                yield from _until_it_shows(tries, before)
                client.indices.rollover(alias=stream)
                yield _SECONDS_BETWEEN_ROLLOVERS
                before = tries.count
    finally:
        stack.proxy.behaviour = pass_on


def _until_it_shows(counted: Counted, before: int) -> Generator[float]:
    """Wait for a shipper that takes its time, such as one that another fault has just started again."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while counted.count == before:
        if time.monotonic() > deadline:
            raise MissedError("nothing that the shipper sent has met it")
        yield _SECONDS_BETWEEN_LOOKS
