"""Lines of one stream that are sent together, and their form in a bulk request."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from inferlog_ops.ship.bulk_response import Disposition, ItemResult
from inferlog_ops.ship.offsets import ByteRange, TrackedFile

ID_BYTES = 512
"""Maximum length of an ``_id``. A longer one makes Elasticsearch refuse the whole request."""

LONG_LINE_KEPT_BYTES = 4096
"""Bytes of a too long line that the dead letter file keeps."""


class Line(NamedTuple):
    """
    A line that can be sent.

    Attributes:
        file: File that contains the line.
        offset: Offset of its first byte.
        id: Its ``event.id``, which becomes the document's ``_id``.
        head: Its two lines of the bulk request, without the document's closing brace.
    """

    file: TrackedFile
    offset: int
    id: str
    head: bytes

    @property
    def text(self) -> bytes:
        """The line without surrounding white space."""
        return self.head[self.head.index(b"\n") + 1 :] + b"}"


class RefusedLine(NamedTuple):
    """
    A line that can never be stored.

    Attributes:
        file: File that contains the line.
        offset: Offset of its first byte.
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
    """The line can never become a document; the message contains the reason."""


def build_bulk_head(raw: bytes) -> tuple[str, bytes]:
    """
    Return the ``event.id`` of the line *raw* and its part of a bulk request, up to the document's closing brace.

    The bytes of the document stay unchanged, so that a signature over them remains valid.

    Raises:
        UnshippableError: If the line is not a JSON object, or has no ``event.id`` that is valid as an ``_id``.
    """
    raw = raw.strip()
    event = _parse(raw).get("event")
    event_id = event.get("id") if isinstance(event, dict) else None
    if not isinstance(event_id, str) or not event_id:
        raise UnshippableError("no event.id: expected a string in the object event")
    try:
        quoted = orjson.dumps(event_id)
    except orjson.JSONEncodeError:
        raise UnshippableError("event.id is not valid Unicode text") from None
    if len(quoted) > ID_BYTES and len(event_id.encode()) > ID_BYTES:
        raise UnshippableError(f"event.id has more than {ID_BYTES} bytes")
    return event_id, b'{"create":{"_id":%b}}\n%b' % (quoted, raw[:-1])


def build_bulk_body(lines: Iterable[Line], sent_at: datetime) -> bytes:
    return join_bulk_heads([line.head for line in lines], sent_at)


def join_bulk_heads(heads: Iterable[bytes], sent_at: datetime) -> bytes:
    """
    Return the body of a bulk request in which each document ends with the send time as ``event.ingested``.

    Elasticsearch maps a dotted key at the end like the nested field, independent of the keys before it.
    """
    sent = sent_at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    tail = b',"event.ingested":"%bZ"}\n' % sent.encode()
    return tail.join(heads) + tail


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        document = _parse_leniently(raw, error)
    if not isinstance(document, dict):
        raise UnshippableError("not a JSON object")
    return document


def _parse_leniently(raw: bytes, error: orjson.JSONDecodeError) -> Any:
    """Parse a line that only orjson refuses, such as one with half of a surrogate pair."""
    try:
        return json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise UnshippableError(f"not valid JSON: {error}") from None


@dataclass(slots=True, eq=False, kw_only=True)
class Batch:
    """
    Lines of one stream that one or more bulk requests send. Changes only through its methods.

    Attributes:
        stream: ``events``, ``app``, …
        lines: Lines that are not acknowledged.
        refused: Refused lines that are not yet in the dead letter file.
        byte_ranges: Byte ranges of all lines. Acknowledged once *lines* and *refused* are empty.
        size_bytes: Bytes of all lines as they were read.
        maybe_stored: Whether an earlier request may have stored some of *lines*.
        tries: Failed attempts without progress in a row.
        reason: Why the batch waits; None if it does not wait.
        request_lines: Maximum lines of the next request; None for no limit.
        suspected_at: When Elasticsearch first refused lines for a reason that may or may not be their fault
            (monotonic clock).
    """

    stream: str
    lines: list[Line] = field(default_factory=list)
    refused: list[RefusedLine] = field(default_factory=list)
    byte_ranges: list[ByteRange] = field(default_factory=list)
    size_bytes: int = 0
    maybe_stored: bool = False
    tries: int = 0
    reason: str | None = None
    request_lines: int | None = None
    suspected_at: float | None = None

    def __len__(self) -> int:
        return len(self.lines) + len(self.refused)

    def add(self, file: TrackedFile, offset: int, raw_lines: Iterable[bytes], line_bytes: int) -> int:
        """
        Add lines of *file*.

        Args:
            file: File that contains the lines.
            offset: Offset of the first line.
            raw_lines: Their bytes, without the ends of lines.
            line_bytes: Maximum length; longer lines are refused.

        Returns:
            The offset of the next line.
        """
        start = offset
        for raw in raw_lines:
            try:
                if len(raw) > line_bytes:
                    self.add_long_line(file, offset, raw, len(raw), line_bytes)
                else:
                    self.lines.append(Line(file, offset, *build_bulk_head(raw)))
            except UnshippableError as error:
                # After a short write the writer begins a new line, so an empty line is not a lost one.
                if raw and not raw.isspace():
                    self.refused.append(RefusedLine(file, offset, str(error), raw, len(raw)))
            offset += len(raw) + 1
        self.size_bytes += offset - start
        return offset

    def add_long_line(self, file: TrackedFile, offset: int, head: bytes, length: int, line_bytes: int) -> None:
        """Add a line that is too long to be sent. Only its beginning is kept."""
        reason = f"line too long: {length} bytes, the limit is {line_bytes}"
        self.refused.append(RefusedLine(file, offset, reason, head[:LONG_LINE_KEPT_BYTES], length))

    def add_byte_range(self, byte_range: ByteRange) -> None:
        """Add the byte range of added lines. Another shipper may have stored them already."""
        self.byte_ranges.append(byte_range)
        self.maybe_stored |= byte_range.start < byte_range.file.maybe_stored_to

    def get_next_request(self) -> list[Line]:
        return self.lines[: self.request_lines]

    def replace_first(self, count: int, kept: Sequence[Line]) -> None:
        """Keep only *kept* of the first *count* lines."""
        self.lines[:count] = kept

    def clear_refused(self) -> None:
        """Remove the refused lines, which are in the dead letter file now."""
        self.refused = []

    def halve_request(self, sent: int) -> None:
        """Limit the next request to half of the *sent* lines."""
        self.request_lines = max(1, sent // 2)

    def mark_maybe_stored(self) -> None:
        self.maybe_stored = True

    def mark_suspected(self) -> None:
        """Record the time of the first suspected result."""
        if self.suspected_at is None:
            self.suspected_at = time.monotonic()

    def apply_results(self, sent: int, undone: Sequence[tuple[Line, ItemResult]]) -> None:
        """Keep of the first *sent* lines only those that are *undone*, and prepare the next request."""
        left: dict[Disposition, list[Line]] = {
            Disposition.POSTPONED: [],
            Disposition.TOO_LARGE: [],
            Disposition.SUSPECTED: [],
        }
        for line, result in undone:
            if result.disposition is Disposition.REFUSED:
                text = line.text
                self.refused.append(RefusedLine(line.file, line.offset, result.reason, text, len(text)))
            else:
                left[result.disposition].append(line)
                self.maybe_stored |= result.maybe_stored
        # Suspected lines go to the end: the results of the other lines show where the fault is.
        self.replace_first(sent, left[Disposition.POSTPONED] + left[Disposition.TOO_LARGE])
        self.lines += left[Disposition.SUSPECTED]
        if left[Disposition.SUSPECTED]:
            self.mark_suspected()
        if left[Disposition.TOO_LARGE]:
            self.halve_request(sent)
        elif self.request_lines is not None:
            self.request_lines = sent * 2

    def record_failure(self, reason: str, *, made_progress: bool) -> None:
        """Record a failed attempt. One that *made_progress* restarts the backoff."""
        self.tries = 1 if made_progress else self.tries + 1
        self.reason = reason
