"""A store that answers badly: by way of the proxy."""

from collections.abc import Generator

from inferlog_ops.chaos import misbehaviour
from inferlog_ops.chaos.faults.fault import MissedError, Strike
from inferlog_ops.chaos.proxy import Behaviour, pass_on
from inferlog_ops.chaos.stack import Stack
from inferlog_ops.provisioning.namespace import stream_name

_SECONDS_BETWEEN_ROLLOVERS = 1.5


def answering(behaviour: Behaviour) -> Strike:
    """Return the fault of a store that treats each bulk request by *behaviour*."""

    def strike(stack: Stack, seconds: float) -> Generator[float]:
        before = stack.proxy.bulks
        stack.proxy.behaviour = behaviour
        try:
            yield seconds
        finally:
            stack.proxy.behaviour = pass_on
        if stack.proxy.bulks == before:
            raise MissedError("the shipper sent nothing meanwhile")

    return strike


def roll_over(stack: Stack, seconds: float) -> Generator[float]:
    """Break off each answer, and begin a new backing index before what was stored is sent again."""
    before = stack.proxy.bulks
    stack.proxy.behaviour = misbehaviour.cut
    try:
        with stack.cluster.client() as client:
            for _ in range(max(1, int(seconds / _SECONDS_BETWEEN_ROLLOVERS))):
                yield _SECONDS_BETWEEN_ROLLOVERS
                client.indices.rollover(alias=stream_name("events", stack.cluster.namespace))
    finally:
        stack.proxy.behaviour = pass_on
    if stack.proxy.bulks == before:
        raise MissedError("the shipper sent nothing meanwhile")
