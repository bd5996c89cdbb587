"""A store that answers badly: by way of the proxy."""

import time
from collections.abc import Generator

from inferlog_ops.chaos import misbehaviour
from inferlog_ops.chaos.faults.fault import MissedError, Strike
from inferlog_ops.chaos.proxy import Behaviour, Proxy, pass_on
from inferlog_ops.chaos.stack import Stack
from inferlog_ops.cluster import explained
from inferlog_ops.provisioning.namespace import stream_name

_SECONDS_BETWEEN_ROLLOVERS = 1.5
_SECONDS_BETWEEN_LOOKS = 0.1
_PATIENCE_SECONDS = 60.0


def answering(behaviour: Behaviour) -> Strike:
    """Return the fault of a store that treats each bulk request by *behaviour*."""

    def strike(stack: Stack, seconds: float) -> Generator[float]:
        before = stack.proxy.bulks
        stack.proxy.behaviour = behaviour
        try:
            yield seconds
            yield from _until_something_was_sent(stack.proxy, before)
        finally:
            stack.proxy.behaviour = pass_on

    return strike


def roll_over(stack: Stack, seconds: float) -> Generator[float]:
    """Break off each answer, and begin a new backing index before what was stored is sent again."""
    before = stack.proxy.bulks
    stack.proxy.behaviour = misbehaviour.cut
    try:
        with stack.cluster.client() as client, explained(stack.cluster, "rolling over"):
            for _ in range(max(1, int(seconds / _SECONDS_BETWEEN_ROLLOVERS))):
                # Soon after a try: at another time it could come between the shipper's last look at which ids there
                # are and its repetition, some milliseconds that nobody can close from outside of the store.
                yield from _until_something_was_sent(stack.proxy, before)
                client.indices.rollover(alias=stream_name("events", stack.cluster.namespace))
                yield _SECONDS_BETWEEN_ROLLOVERS
                before = stack.proxy.bulks
    finally:
        stack.proxy.behaviour = pass_on


def _until_something_was_sent(proxy: Proxy, before: int) -> Generator[float]:
    """Wait for a shipper that takes its time, such as one that another fault has just started again."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while proxy.bulks == before:
        if time.monotonic() > deadline:
            raise MissedError("the shipper sent nothing meanwhile")
        yield _SECONDS_BETWEEN_LOOKS
