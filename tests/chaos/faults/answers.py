"""Faulty responses of the store, injected by the proxy."""

import time
from collections.abc import Generator

from inferlog_ops.core.cluster import translate_errors
from inferlog_ops.core.streams import build_stream_name
from tests.chaos import misbehaviour
from tests.chaos.faults.fault import Injection, MissedError
from tests.chaos.misbehaviour import CountingBehaviour
from tests.chaos.proxy import Behaviour, forward_unchanged
from tests.chaos.stack import Stack

_SECONDS_BETWEEN_ROLLOVERS = 1.5
_SECONDS_BETWEEN_POLLS = 0.1
_PATIENCE_SECONDS = 60.0


def inject_behaviour(behaviour: Behaviour, *, shows: bytes) -> Injection:
    """Return an injection of *behaviour* into bulk requests; its responses contain *shows*."""

    def inject(stack: Stack, seconds: float) -> Generator[float]:
        stack.proxy.behaviour = counted = CountingBehaviour(behaviour, shows=shows)
        try:
            yield seconds
            yield from _wait_for_effect(counted, 0)
        finally:
            stack.proxy.behaviour = forward_unchanged

    return inject


def roll_over(stack: Stack, seconds: float) -> Generator[float]:
    """Cut each response, and roll over to a new backing index before the stored documents are retried."""
    stream = build_stream_name("events", stack.cluster.namespace)
    stack.proxy.behaviour = tries = CountingBehaviour(misbehaviour.cut, shows=misbehaviour.STORED, index=stream)
    before = 0
    try:
        with stack.cluster.build_client() as client, translate_errors(stack.cluster, "rolling over"):
            for _ in range(max(1, int(seconds / _SECONDS_BETWEEN_ROLLOVERS))):
                # Right after a request was stored. Later, the rollover could fall between the shipper's last check for
                # existing ids and its retry: a gap of milliseconds that no client can close.
                yield from _wait_for_effect(tries, before)
                client.indices.rollover(alias=stream)
                yield _SECONDS_BETWEEN_ROLLOVERS
                before = tries.count
    finally:
        stack.proxy.behaviour = forward_unchanged


def _wait_for_effect(counted: CountingBehaviour, before: int) -> Generator[float]:
    """Wait until the behaviour affects a request: another fault may have just restarted the shipper."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while counted.count == before:
        if time.monotonic() > deadline:
            raise MissedError("no bulk request of the shipper was affected")
        yield _SECONDS_BETWEEN_POLLS
