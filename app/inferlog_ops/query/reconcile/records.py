"""Records of a load generator: one JSON line per request (docs/traffic.md)."""

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
from inferlog_ops.core.progress import ReportProgress

_LINES_BETWEEN_REPORTS: Final = 50_000
_MAX_SHOWN_CHARACTERS: Final = 80
_MAX_LINE_BYTES: Final = 1024 * 1024  # limits reads from a device, which may never end
_NO_CODE: Final = 0
_YEARS: Final = range(1971, 2261)
"""Years that Elasticsearch can index, except the first and the last: events may be outside the requests' range."""

_EXPECTED: Final[dict[str, tuple[type | UnionType, str]]] = {
    "correlation_id": (str, "text"),
    "intended_at": (str, "a moment, ISO 8601"),
    "sent_after_seconds": (int | float, "a number"),
    "ended_after_seconds": (int | float, "a number"),
    "status_code": (int | None, "a status code, or null"),
    "outcome": (str, "text"),
}


class ClientOutcome(StrEnum):
    """End of a request, as observed by its client."""

    ANSWERED = "answered"
    REFUSED = "refused"  # 4xx
    FAILED = "failed"  # 5xx, or an error in the stream
    BROKEN = "broken"  # the response started and did not end
    UNANSWERED = "unanswered"  # no response started
    LEFT = "left"  # the client disconnected
    ABANDONED = "abandoned"  # the run ended before the request


OUTCOMES: Final = tuple(ClientOutcome)
_NUMBERS: Final = {str(outcome): number for number, outcome in enumerate(OUTCOMES)}
READ_TO_THE_END: Final = frozenset({ClientOutcome.ANSWERED, ClientOutcome.REFUSED, ClientOutcome.FAILED})
"""Outcomes with a complete response: client and service measured the same interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRecords:
    """
    Requests as arrays, one element per request: about 250 MB per million.

    Attributes:
        places: Array index by correlation id.
        sent_after_seconds: ``(requests,)``, float64; delay of sending after the due time.
        ended_after_seconds: ``(requests,)``, float64; end of the request after the due time.
        status_codes: ``(requests,)``, int16; 0 if no response started.
        outcomes: ``(requests,)``, uint8; index in `OUTCOMES`.
        first_due_at: Earliest due time, with a time zone.
        last_ended_at: Latest end, with a time zone.
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
        """Mask of the requests with at least part of a response, which must have an event."""
        began: NDArray[np.bool_] = self.status_codes != _NO_CODE
        return began

    @property
    def latency_seconds(self) -> NDArray[np.float64]:
        """Latency from sending to the end."""
        return self.ended_after_seconds - self.sent_after_seconds

    def count(self, outcome: ClientOutcome) -> int:
        """Return the number of requests with *outcome*."""
        return int(np.count_nonzero(self.outcomes == OUTCOMES.index(outcome)))


class _RecordReader:
    """Accumulates records while files are read."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self._sent_after, self._ended_after = array("d"), array("d")
        self._codes, self._outcomes = array("h"), array("B")
        self._first_due_at = datetime.max.replace(tzinfo=UTC)
        self._last_ended_at = datetime.min.replace(tzinfo=UTC)

    def add(self, record: dict[str, Any]) -> None:
        """
        Add *record*.

        Raises:
            ValueError: If its id is a duplicate, or its times are invalid or outside the years of the index.
        """
        correlation_id = record["correlation_id"]
        if correlation_id in self.places:
            raise ValueError(
                f"a second record of {correlation_id!r}; correlation ids must be unique: give the records of "
                "one run, or select it with --run-id"
            )
        due_at = datetime.fromisoformat(record["intended_at"])
        if due_at.tzinfo is None:
            raise ValueError(f"intended_at is {record['intended_at']!r}, without a UTC offset")
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

    def to_records(self) -> ClientRecords:
        return ClientRecords(
            places=self.places,
            sent_after_seconds=np.array(self._sent_after),
            ended_after_seconds=np.array(self._ended_after),
            status_codes=np.array(self._codes, np.int16),
            outcomes=np.array(self._outcomes, np.uint8),
            first_due_at=self._first_due_at,
            last_ended_at=self._last_ended_at,
        )


def _check_record(record: Any) -> dict[str, Any]:
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


def list_record_files(paths: Iterable[Path]) -> list[Path]:
    """
    Return the files in *paths*, each once; a directory contributes its ``.jsonl`` files.

    Raises:
        OperatorError: If a directory has no such file.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        inside = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not inside:
            raise OperatorError(f"{path} contains no .jsonl file; expected records of requests", exit_code=2)
        found |= {Path(os.path.realpath(each)): each for each in inside}
    return list(found.values())


def read_records(paths: Sequence[Path], *, run_id: str | None, report: ReportProgress) -> ClientRecords:
    """
    Return the requests in *paths*; with *run_id*, only those whose correlation id starts with it.

    Raises:
        OperatorError: If a file cannot be read, a line is not a valid record (with its number), or no record is found.
    """
    reader = _RecordReader()
    for path in list_record_files(paths):
        _read_file(path, reader, run_id or "", report)
    if not reader.places:
        raise OperatorError(
            f"{', '.join(map(str, paths))}: no record of a request"
            + (f" whose correlation id starts with {run_id!r}" if run_id else "")
            + "; expected a file written by scripts/traffic --records",
            exit_code=2,
        )
    return reader.to_records()


def _read_file(path: Path, reader: _RecordReader, run_id: str, report: ReportProgress) -> None:
    number = 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(_MAX_LINE_BYTES), b""), start=1):
                record = _parse_record(line)
                if record["correlation_id"].startswith(run_id):
                    reader.add(record)
                if number % _LINES_BETWEEN_REPORTS == 0:
                    report(f"reading {path}: {number:,} requests")
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}", exit_code=2) from error
    except (ValueError, OverflowError) as error:
        raise OperatorError(f"{path}, line {number}: {error}", exit_code=2) from error


def _parse_record(line: bytes) -> dict[str, Any]:
    """Return the record in *line*; raise ValueError if it is not valid."""
    if not line.endswith(b"\n"):
        raise ValueError(f"{_format_line(line)} has no line end; is the run still in progress?")
    try:
        return _check_record(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{_format_line(line)} is not valid JSON: {error}") from error


def _format_line(line: bytes) -> str:
    text = line.decode(errors="replace").rstrip("\n")
    return repr(text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS]}…")
