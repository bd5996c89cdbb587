"""A dead letter: where its line was to go, why it did not get there, and what can be sent of it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from inferlog_ops.core.streams import STREAMS
from inferlog_ops.ship.lines import UnshippableError, bulk_head

REFUSED_UNDER_FLUENTD = "refused by the store: Fluentd's own log says why"

# What differs from one document to the next although the reason is the same.
_PARTICULAR = re.compile(
    r"\[\d+:\d+\] ?|(?: in document)? with id '[^']*'|\. Preview of field's value: '.*?'(?=$| \()"
    r"|: line \d+ column \d+ \(char \d+\)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """
    One dead letter.

    Attributes:
        raw: As it stands in its file, without the end of the line; empty if it lies in no file.
        stream: ``events``, ``app``, …; empty if it does not say.
        reason: Why it is one, in words that others have in common with it. If it cannot be sent, why not.
        id: Of the document; empty if it cannot be sent.
        head: Its part of a bulk request, up to the document's closing brace; empty if it cannot be sent.
    """

    raw: bytes
    stream: str
    reason: str
    id: str = ""
    head: bytes = b""

    @property
    def can_be_sent(self) -> bool:
        """Whether it holds a document with an id."""
        return bool(self.head)


def shipper_letter(raw: bytes) -> Letter:
    """Return what a line of ``dead_letters.jsonl`` holds."""
    try:
        content = orjson.loads(raw)
        stream, line, reason = str(content["stream"]), str(content["line"]), str(content["reason"])
    except (ValueError, KeyError, TypeError):
        return Letter(raw=raw, stream="", reason="no dead letter: it is no JSON object with stream, reason and line")
    return _letter(raw, stream, line.encode(), reason)


def fluentd_letter(raw: bytes, stream: str) -> Letter:
    """Return what a line of ``inferlog.<stream>.<date>.log`` holds: a document, or a line that was none, in quotes."""
    return _letter(raw, stream, _unmatched_line(raw) or raw, REFUSED_UNDER_FLUENTD)


def failure_letter(failure: Mapping[str, Any], stream: str) -> Letter:
    """Return what a document of a failure store holds: ``document.source``, whose ``event.id`` was its id."""
    error = failure.get("error", {})
    source = dict(failure.get("document", {}).get("source") or {})
    source.pop("event.ingested", None)  # of the try that failed; the next one adds its own
    return _letter(b"", stream, orjson.dumps(source), f"{error.get('type')}: {error.get('message')}")


def _letter(raw: bytes, stream: str, document: bytes, reason: str) -> Letter:
    if stream not in STREAMS:
        return Letter(raw=raw, stream="", reason=f"the stream {stream!r} is none of {', '.join(STREAMS)}")
    try:
        event_id, head = bulk_head(document)
    except UnshippableError as error:
        return Letter(raw=raw, stream=stream, reason=general(str(error)))
    return Letter(raw=raw, stream=stream, reason=general(reason), id=event_id, head=head)


def _unmatched_line(raw: bytes) -> bytes | None:
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if isinstance(record, dict) and record.keys() == {"unmatched_line"}:
        return str(record["unmatched_line"]).encode()
    return None


def general(reason: str) -> str:
    """Return *reason* without what differs from one document to the next."""
    return _PARTICULAR.sub("", reason)
