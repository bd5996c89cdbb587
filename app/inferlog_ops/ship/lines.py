"""From a line of a file to what a bulk request says about it. Pure: no clock, no files, no network."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from inferlog_ops.ship.offsets import TrackedFile

ID_BYTES = 512
"""A longer ``_id`` makes Elasticsearch refuse the whole request that it stands in."""


class Line(NamedTuple):
    """
    A line that can be sent.

    Attributes:
        file: Where it stands.
        offset: Its first byte's place in the file.
        id: Its ``event.id``, which becomes the document's ``_id``.
        head: The bulk request's two lines, without the brace that closes the document.
    """

    file: TrackedFile
    offset: int
    id: str
    head: bytes

    @property
    def text(self) -> bytes:
        """The line as it stands in the file, without white space around it."""
        return self.head[self.head.index(b"\n") + 1 :] + b"}"


class RefusedLine(NamedTuple):
    """
    A line that no store will ever take.

    Attributes:
        file: Where it stands.
        offset: Its first byte's place in the file.
        reason: Why it is refused.
        text: The line, or its beginning.
        length: Bytes of the whole line.
    """

    file: TrackedFile
    offset: int
    reason: str
    text: bytes
    length: int


class UnshippableError(ValueError):
    """The line can never become a document; the message says why."""


def bulk_head(raw: bytes) -> tuple[str, bytes]:
    """
    Return the ``event.id`` of the line *raw* and its part of a bulk request, up to the document's closing brace.

    The document's own bytes are passed on as they are: whoever signed them finds them again.

    Raises:
        UnshippableError: If the line is no JSON object, or has no ``event.id`` that could be an ``_id``.
    """
    raw = raw.strip()
    event = _parsed(raw).get("event")
    event_id = event.get("id") if isinstance(event, dict) else None
    if not isinstance(event_id, str) or not event_id:
        raise UnshippableError("no event.id: a string in the object event was wanted")
    try:
        quoted = orjson.dumps(event_id)
    except orjson.JSONEncodeError:
        raise UnshippableError("event.id is no valid Unicode text") from None
    if len(quoted) > ID_BYTES and len(event_id.encode()) > ID_BYTES:
        raise UnshippableError(f"event.id has more than {ID_BYTES} bytes")
    return event_id, b'{"create":{"_id":%b}}\n%b' % (quoted, raw[:-1])


def bulk_body(lines: Iterable[Line], sent_at: datetime) -> bytes:
    """Return the body of a request with *lines*."""
    return body_of_heads([line.head for line in lines], sent_at)


def body_of_heads(heads: Iterable[bytes], sent_at: datetime) -> bytes:
    """
    Return a request's body; each document ends with the time at which it was sent, as ``event.ingested``.

    A dotted key at the end is mapped like the nested field, whatever stands before it.
    """
    time = sent_at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    tail = b',"event.ingested":"%bZ"}\n' % time.encode()
    return tail.join(heads) + tail


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        document = _parsed_leniently(raw, error)
    if not isinstance(document, dict):
        raise UnshippableError("no JSON object")
    return document


def _parsed_leniently(raw: bytes, error: orjson.JSONDecodeError) -> Any:
    """Give a line another chance that only orjson refuses, such as one with half of a surrogate pair."""
    try:
        return json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise UnshippableError(f"no JSON: {error}") from None
