"""A dead letter: its stream, the reason of its refusal, and the document to send again. Pure: no files, no network."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from inferlog_ops.core.streams import STREAMS
from inferlog_ops.ship.batch import UnshippableError, build_bulk_head

REFUSED_UNDER_FLUENTD = "refused by Elasticsearch: see Fluentd's own log for the reason"

# Parts of a reason that differ between documents.
_DOCUMENT_DETAILS = re.compile(
    r"\[\d+:\d+\] ?|(?: in document)? with id '[^']*'|\. Preview of field's value: '.*?'(?=$| \()"
    r"|: line \d+ column \d+ \(char \d+\)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """
    One dead letter.

    Attributes:
        raw: The line of its file without the end of line; empty if it is not from a file.
        stream: ``events``, ``app``, …; empty if unknown.
        reason: Why the line was refused, without details of the document. Why the letter cannot be sent, if so.
        id: Id of the document; empty if the letter cannot be sent.
        head: Its part of a bulk request, up to the document's closing brace; empty if the letter cannot be sent.
    """

    raw: bytes
    stream: str
    reason: str
    id: str = ""
    head: bytes = b""

    @property
    def can_be_sent(self) -> bool:
        """Whether it contains a document with an id."""
        return bool(self.head)


def parse_shipper_letter(raw: bytes) -> Letter:
    """Parse a line of ``dead_letters.jsonl``."""
    try:
        content = orjson.loads(raw)
        stream, line, reason = str(content["stream"]), str(content["line"]), str(content["reason"])
    except (ValueError, KeyError, TypeError):
        return Letter(
            raw=raw, stream="", reason="not a dead letter: expected a JSON object with stream, reason and line"
        )
    return _build_letter(raw, stream, line.encode(), reason)


def parse_fluentd_letter(raw: bytes, stream: str) -> Letter:
    """Parse a line of ``inferlog.<stream>.<date>.log``: a document, or ``unmatched_line`` with an invalid line."""
    return _build_letter(raw, stream, _find_unmatched_line(raw) or raw, REFUSED_UNDER_FLUENTD)


def parse_failure(failure: Mapping[str, Any], stream: str) -> Letter:
    """Parse a document of a failure store: ``document.source``, whose ``event.id`` was its id."""
    error = failure.get("error", {})
    source = dict(failure.get("document", {}).get("source") or {})
    source.pop("event.ingested", None)  # of the failed attempt; the next one adds its own
    return _build_letter(b"", stream, orjson.dumps(source), f"{error.get('type')}: {error.get('message')}")


def _build_letter(raw: bytes, stream: str, document: bytes, reason: str) -> Letter:
    if stream not in STREAMS:
        return Letter(raw=raw, stream="", reason=f"unknown stream {stream!r}, expected one of {', '.join(STREAMS)}")
    try:
        event_id, head = build_bulk_head(document)
    except UnshippableError as error:
        return Letter(raw=raw, stream=stream, reason=generalize(str(error)))
    return Letter(raw=raw, stream=stream, reason=generalize(reason), id=event_id, head=head)


def _find_unmatched_line(raw: bytes) -> bytes | None:
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if isinstance(record, dict) and record.keys() == {"unmatched_line"}:
        return str(record["unmatched_line"]).encode()
    return None


def generalize(reason: str) -> str:
    """Return *reason* without the parts that differ between documents."""
    return _DOCUMENT_DETAILS.sub("", reason)
