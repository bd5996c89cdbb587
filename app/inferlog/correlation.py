"""Ids that travel between services: what is taken from a caller, and what is made when it sent nothing usable."""

import re
from dataclasses import dataclass

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
# https://www.w3.org/TR/trace-context/: version, trace id, parent id, flags; all-zero ids are invalid, and only a later
# version than 00 may say more. What is kept goes on to other services: nothing that a header must not hold.
_TRACEPARENT = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-[!-~]{0,200})?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Trace:
    """A W3C trace context: ``trace.id`` of the whole chain and ``span.id`` of the caller's part in it."""

    trace_id: str
    span_id: str


def usable_id(value: str) -> bool:
    """Tell whether an id from outside is kept: 1 to 64 of ``A-Z a-z 0-9 . _ -``, nothing to forge a line with."""
    return _ID.fullmatch(value) is not None


def parse_traceparent(value: str) -> Trace | None:
    """Return the trace context of a ``traceparent`` header, or None where it is not valid."""
    match = _TRACEPARENT.fullmatch(value)
    return Trace(match[1], match[2]) if match else None
