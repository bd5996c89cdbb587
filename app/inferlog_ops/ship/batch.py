"""Lines of one stream that travel together."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from inferlog_ops.ship.lines import Line, RefusedLine, UnshippableError, bulk_head
from inferlog_ops.ship.offsets import Span, TrackedFile

LONG_LINE_KEPT_BYTES = 4096
"""How much of a line that is too long to be sent goes into the dead letter file."""


@dataclass(slots=True, eq=False, kw_only=True)
class Batch:
    """
    What one or more bulk requests to *stream* are made of.

    Attributes:
        stream: ``events``, ``app``, …
        lines: Those that are not answered yet.
        refused: Those that are dead letters, but not written down yet.
        spans: Where all of them came from. Answered once neither *lines* nor *refused* holds anything.
        size_bytes: Of the lines when they were read.
        doubtful: Whether an earlier request may have brought some of *lines* to the store.
        tries: How often it went wrong in a row.
        reason: Why it waits, if it does.
        request_lines: Most lines of the next request; None for no limit.
        suspected_at: When the store first refused lines for what could be their fault or its own (monotonic clock).
    """

    stream: str
    lines: list[Line] = field(default_factory=list)
    refused: list[RefusedLine] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    size_bytes: int = 0
    doubtful: bool = False
    tries: int = 0
    reason: str | None = None
    request_lines: int | None = None
    suspected_at: float | None = None

    def __len__(self) -> int:
        return len(self.lines) + len(self.refused)

    def add(self, file: TrackedFile, offset: int, raw_lines: Iterable[bytes], line_bytes: int) -> int:
        """
        Add lines of *file*, the first of which begins at *offset*.

        Args:
            file: Where they stand.
            offset: Place of the first one.
            raw_lines: Their bytes, without the ends of lines.
            line_bytes: A longer line is refused.

        Returns:
            Where the next line begins.
        """
        began = offset
        for raw in raw_lines:
            try:
                if len(raw) > line_bytes:
                    self.refuse_long(file, offset, raw, len(raw), line_bytes)
                else:
                    self.lines.append(Line(file, offset, *bulk_head(raw)))
            except UnshippableError as error:
                # A writer begins a new line after a short write, so an empty one is nothing that was lost.
                if raw and not raw.isspace():
                    self.refused.append(RefusedLine(file, offset, str(error), raw, len(raw)))
            offset += len(raw) + 1
        self.size_bytes += offset - began
        return offset

    def refuse_long(self, file: TrackedFile, offset: int, head: bytes, length: int, line_bytes: int) -> None:
        """Add a line that is too long to be sent: only its beginning is kept."""
        reason = f"line too long: {length} bytes, at most {line_bytes} are sent"
        self.refused.append(RefusedLine(file, offset, reason, head[:LONG_LINE_KEPT_BYTES], length))
