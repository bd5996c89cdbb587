"""Puts the events of one correlation id together: who called whom, and where the time went. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

# Clocks of several machines differ a little, and a busy service notes the time a little late: a call may seem to begin
# before its caller, or to end after it.
_CLOCK_SKEW = timedelta(milliseconds=20)
_LATE_SHARE = 0.1


@dataclass(slots=True, kw_only=True)
class Span:
    """
    One service's part in a chain of calls.

    Attributes:
        event: Its event, as it lies in the index.
        began: When its request came in.
        ended: When its response was complete.
        calls: The hops that lie within it.
    """

    event: dict[str, Any]
    began: datetime
    ended: datetime
    calls: list["Span"] = field(default_factory=list)

    @property
    def latency_seconds(self) -> float:
        """From first byte in to last byte out."""
        return (self.ended - self.began).total_seconds()

    @property
    def own_seconds(self) -> float:
        """What of its latency no hop within it accounts for; calls that ran side by side count once."""
        covered, until = timedelta(), self.began
        for call in sorted(self.calls, key=lambda call: call.began):
            begin, end = max(call.began, until), min(call.ended, self.ended)
            if end > begin:
                covered += end - begin
                until = end
        return max(0.0, (self.ended - self.began - covered).total_seconds())

    def walk(self, depth: int = 0) -> Iterable[tuple[int, "Span"]]:
        """Yield this hop and those within it, each with how deep it lies."""
        yield depth, self
        for call in self.calls:
            yield from call.walk(depth + 1)


def chain(events: Sequence[dict[str, Any]]) -> list[Span]:
    """
    Return the outermost hops of *events*, by time; the others lie within them.

    No event names its caller: a hop lies within the shortest one that spans its whole time.
    """
    # The longest first: whatever spans a hop stands before it.
    hops = sorted((_hop(event) for event in events), key=lambda hop: (-hop.latency_seconds, hop.began))
    outermost: list[Span] = []
    for index, hop in enumerate(hops):
        spanning = [other for other in hops[:index] if _spans(other, hop)]
        (spanning[-1].calls if spanning else outermost).append(hop)
    for hop in hops:
        hop.calls.sort(key=lambda call: call.began)
    return sorted(outermost, key=lambda hop: hop.began)


def _hop(event: dict[str, Any]) -> Span:
    ended = datetime.fromisoformat(event["@timestamp"])
    return Span(event=event, began=ended - timedelta(seconds=event.get("latency_seconds", 0.0)), ended=ended)


def _spans(outer: Span, inner: Span) -> bool:
    tolerance = max(_CLOCK_SKEW, (outer.ended - outer.began) * _LATE_SHARE)
    return outer.began - tolerance <= inner.began and inner.ended <= outer.ended + tolerance
