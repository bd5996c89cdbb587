"""Reads what a load generator has noted: a line of JSON for each request (docs/traffic.md)."""

import os
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say

_LINES_BETWEEN_WORDS: Final = 50_000
_SHOWN_CHARACTERS: Final = 80
_LONGEST_LINE_BYTES: Final = 1024 * 1024  # of a device there would be no end
_NO_CODE: Final = 0
_YEARS: Final = range(1971, 2261)
"""Those of which the index can tell the moments, but for the first and the last: events may lie beside requests."""

_EXPECTED: Final[dict[str, tuple[type | UnionType, str]]] = {
    "correlation_id": (str, "text"),
    "intended_at": (str, "a moment, ISO 8601"),
    "sent_after_seconds": (int | float, "a number"),
    "ended_after_seconds": (int | float, "a number"),
    "status_code": (int | None, "a status code, or null"),
    "outcome": (str, "text"),
}


class Outcome(StrEnum):
    """How a request ended, as its client saw it."""

    ANSWERED = "answered"
    REFUSED = "refused"  # 4xx
    FAILED = "failed"  # 5xx, or a stream that says so
    BROKEN = "broken"  # the answer began and did not end
    UNANSWERED = "unanswered"  # no answer began
    LEFT = "left"  # the client had enough
    ABANDONED = "abandoned"  # the run ended first


OUTCOMES: Final = tuple(Outcome)
_NUMBERS: Final = {str(outcome): number for number, outcome in enumerate(OUTCOMES)}
READ_TO_THE_END: Final = frozenset({Outcome.ANSWERED, Outcome.REFUSED, Outcome.FAILED})
"""The client has seen the last byte, so that its clock and the service's have measured the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """
    Requests, each a place in every array: a million of them are some 250 MB.

    Attributes:
        places: Where each correlation id stands in the arrays.
        sent_after_seconds: ``(requests,)``, float64; how late each left.
        ended_after_seconds: ``(requests,)``, float64; both count from when it was due.
        status_codes: ``(requests,)``, int16; 0 where no answer began.
        outcomes: ``(requests,)``, uint8; places in `OUTCOMES`.
        first_due_at: When the first of them was due; with a time zone.
        last_ended_at: When the last of them ended.
    """

    places: dict[str, int]
    sent_after_seconds: NDArray[np.float64]
    ended_after_seconds: NDArray[np.float64]
    status_codes: NDArray[np.int16]
    outcomes: NDArray[np.uint8]
    first_due_at: datetime
    last_ended_at: datetime

    def __len__(self) -> int:
        return len(self.places)

    @property
    def answer_began(self) -> NDArray[np.bool_]:
        """Of which requests something of an answer came, so that there has to be an event."""
        began: NDArray[np.bool_] = self.status_codes != _NO_CODE
        return began

    @property
    def latency_seconds(self) -> NDArray[np.float64]:
        """From sent to ended."""
        return self.ended_after_seconds - self.sent_after_seconds

    def count(self, outcome: Outcome) -> int:
        """Return how many requests ended so."""
        return int(np.count_nonzero(self.outcomes == OUTCOMES.index(outcome)))


class _Reading:
    """Records as far as they are read."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self._sent_after, self._ended_after = array("d"), array("d")
        self._codes, self._outcomes = array("h"), array("B")
        self._first_due_at = datetime.max.replace(tzinfo=UTC)
        self._last_ended_at = datetime.min.replace(tzinfo=UTC)

    def add(self, record: dict[str, Any]) -> None:
        """
        Take one more.

        Raises:
            ValueError: If its id is known, or its moments are none, or none at which an event can be.
        """
        correlation_id = record["correlation_id"]
        if correlation_id in self.places:
            raise ValueError(
                f"a second record of {correlation_id!r}; each request needs an id of its own, so give the records of "
                "one run, or name it with --run-id"
            )
        due_at = datetime.fromisoformat(record["intended_at"])
        if due_at.tzinfo is None:
            raise ValueError(f"intended_at is {record['intended_at']!r}, without an offset")
        ended_after = record["ended_after_seconds"]
        ended_at = due_at + timedelta(seconds=ended_after)
        if not (due_at.year in _YEARS and ended_at.year in _YEARS):
            raise ValueError(
                f"intended_at is {record['intended_at']!r}, ended_after_seconds {ended_after}; expected moments of the "
                f"years {_YEARS[0]} to {_YEARS[-1]}"
            )
        self.places[correlation_id] = len(self.places)
        self._sent_after.append(record["sent_after_seconds"])
        self._ended_after.append(ended_after)
        self._codes.append(record["status_code"] or _NO_CODE)
        self._outcomes.append(_NUMBERS[record["outcome"]])
        self._first_due_at = min(self._first_due_at, due_at)
        self._last_ended_at = max(self._last_ended_at, ended_at)

    def records(self) -> Records:
        """Return what was read."""
        return Records(
            places=self.places,
            sent_after_seconds=np.array(self._sent_after),
            ended_after_seconds=np.array(self._ended_after),
            status_codes=np.array(self._codes, np.int16),
            outcomes=np.array(self._outcomes, np.uint8),
            first_due_at=self._first_due_at,
            last_ended_at=self._last_ended_at,
        )


def _checked(record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise ValueError(f"a JSON {type(record).__name__}; expected an object")  # noqa: TRY004 (of the file, not ours)
    for key, (kind, wanted) in _EXPECTED.items():
        if key not in record:
            raise ValueError(f"no {key}; expected a record of a request (docs/traffic.md)")
        if not isinstance(record[key], kind):
            raise ValueError(f"{key} is {record[key]!r}; expected {wanted}")  # noqa: TRY004 (as above)
    if record["outcome"] not in _NUMBERS:
        raise ValueError(f"outcome is {record['outcome']!r}; expected one of {', '.join(OUTCOMES)}")
    if not 100 <= (record["status_code"] or 100) < 1000:
        raise ValueError(f"status_code is {record['status_code']}; expected 100 to 999, or null")
    if record["ended_after_seconds"] < record["sent_after_seconds"]:
        raise ValueError(f"ended after {record['ended_after_seconds']} s, and sent after that")
    return record


def files_in(paths: Iterable[Path]) -> list[Path]:
    """
    Return the files that *paths* name, each once: of a directory those that end in ``.jsonl``.

    Raises:
        OperatorError: If there is nothing at one of them.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        inside = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not inside:
            raise OperatorError(f"{path} holds no file that ends in .jsonl; expected records of requests", exit_code=2)
        found |= {Path(os.path.realpath(each)): each for each in inside}
    return list(found.values())


def read_records(paths: Sequence[Path], *, run_id: str | None, say: Say) -> Records:
    """
    Return the requests in *paths*; where *run_id* is given, only those whose correlation id begins with it.

    Raises:
        OperatorError: If a file cannot be read or a line is no record, with the line's number; if there is none.
    """
    reading = _Reading()
    for path in files_in(paths):
        _read(path, reading, run_id or "", say)
    if not reading.places:
        raise OperatorError(
            f"{', '.join(map(str, paths))}: no record of a request"
            + (f" whose correlation id begins with {run_id!r}" if run_id else "")
            + "; expected what the option --records of scripts/traffic writes",
            exit_code=2,
        )
    return reading.records()


def _read(path: Path, reading: _Reading, run_id: str, say: Say) -> None:
    number = 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(_LONGEST_LINE_BYTES), b""), start=1):
                record = _record(line)
                if record["correlation_id"].startswith(run_id):
                    reading.add(record)
                if number % _LINES_BETWEEN_WORDS == 0:
                    say(f"reading {path}: {number:,} requests")
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}", exit_code=2) from error
    except (ValueError, OverflowError) as error:
        raise OperatorError(f"{path}, line {number}: {error}", exit_code=2) from error


def _record(line: bytes) -> dict[str, Any]:
    """Return the record in *line*; ValueError if it is none, saying what was found."""
    if not line.endswith(b"\n"):
        raise ValueError(f"{_shown(line)} has no end; is the run still going on?")
    try:
        return _checked(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{_shown(line)} is no JSON: {error}") from error


def _shown(line: bytes) -> str:
    text = line.decode(errors="replace").rstrip("\n")
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…")
