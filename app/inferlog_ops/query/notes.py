"""Notes on a query answer: missing rows, excluded events, grouped model versions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from inferlog_ops.query.esql import OTHER_VERSIONS
from inferlog_ops.query.timerange import format_iso


class NoteKind(StrEnum):
    """The subject of a note, and the unit of its count."""

    MISSING_ROWS = "missing_rows"
    UNREAD_ROWS = "unread_rows"
    OTHER_VERSIONS = "other_versions"
    FUTURE_EVENTS = "future_events"
    UNREAD_FAILURE_STORES = "unread_failure_stores"


_INCOMPLETE = {NoteKind.MISSING_ROWS, NoteKind.UNREAD_ROWS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """
    One note.

    Attributes:
        kind: Subject of the note.
        count: Minimum number of missing or unread rows, or number of requests or events; 0 if it is unknown.
        text: Sentence for display.
    """

    kind: NoteKind
    count: int
    text: str

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {"kind": self.kind.value, "count": self.count, "text": self.text}


def note_missing_rows(shown: int, counted: int) -> Note:
    """Return the note on an answer with *shown* of *counted* rows."""
    missing = max(counted - shown, 1)
    return Note(
        kind=NoteKind.MISSING_ROWS,
        count=missing,
        text=f"at least {missing:,} {'row is' if missing == 1 else 'rows are'} missing: "
        f"{shown:,} of {shown + missing:,} are shown. "
        "Choose a shorter range or one model version.",
    )


def note_unread_rows(read: int, counted: int) -> Note:
    """Return the note on an answer that was computed from *read* rows of *counted*."""
    return Note(
        kind=NoteKind.UNREAD_ROWS,
        count=counted - read,
        text=f"computed from the newest {read:,} of {counted:,} rows, so at least {counted - read:,} are missing. "
        "Choose a shorter range.",
    )


def note_other_versions(most: int, requests: int) -> Note:
    """Return the note on the row ``(other)``: all model versions except the *most* with rows of their own."""
    return Note(
        kind=NoteKind.OTHER_VERSIONS,
        count=requests,
        text=f"{OTHER_VERSIONS} is all model versions but the {most:,} with the most requests: {requests:,} requests.",
    )


def note_future_events(count: int, latest: datetime, end: datetime) -> Note:
    """Return the note on *count* events after *end*, which was now."""
    return Note(
        kind=NoteKind.FUTURE_EVENTS,
        count=count,
        text=f"{count:,} {'event is' if count == 1 else 'events are'} later than the end of the range, which is now, "
        "and left out. The latest is of "
        f"{format_iso(latest)}, {(latest - end).total_seconds():,.0f} s ahead: compare the clocks of the hosts.",
    )


def note_unread_failure_stores(shown_url: str) -> Note:
    """Return the note on failure stores that the reader may not read."""
    return Note(
        kind=NoteKind.UNREAD_FAILURE_STORES,
        count=0,
        text=f"the failure stores are not counted: on {shown_url} this user or key lacks the privilege "
        "read_failure_store on logs-inference.*.",
    )


def is_incomplete(notes: Iterable[Note]) -> bool:
    """Return whether *notes* report missing rows."""
    return any(note.kind in _INCOMPLETE for note in notes)
