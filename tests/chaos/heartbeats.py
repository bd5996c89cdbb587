"""What the service's processes say of themselves: the last heartbeat of each."""

from collections.abc import Iterable
from dataclasses import dataclass

from inferlog.heartbeat import MESSAGE, STOPPED
from tests.chaos.disk import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """
    The last that one process has said.

    Attributes:
        events_written: Events that it knows on the disk.
        events_dropped: Events that the disk did not take.
        stopped: Whether it said goodbye: nothing came after this.
    """

    events_written: int
    events_dropped: int
    stopped: bool


def last_heartbeats(lines: Iterable[Line]) -> dict[str, Heartbeat]:
    """Return the last heartbeat of each instance of the service."""
    last: dict[str, Heartbeat] = {}
    for line in lines:
        message = line.content.get("message")
        if line.stream == "health" and message in {MESSAGE, STOPPED}:
            last[line.instance] = Heartbeat(
                events_written=line.content["events_written"],
                events_dropped=line.content["events_dropped"],
                stopped=message == STOPPED,
            )
    return last
