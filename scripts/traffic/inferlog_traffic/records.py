"""The client's record of each request, one line of JSON, to compare with the request's event."""

import errno
import json
import os
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from inferlog_traffic.exchange import RequestOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """
    Record of one request. All times in seconds count from the time at which it was due.

    Attributes:
        correlation_id: Correlation id, also in the request's event.
        caller: Class of the caller: ``steady``, ``stream``, …
        route: Route template.
        model: Requested model; None if the body is malformed.
        intended_at: Time at which the request was due; timezone-aware.
        sent_after_seconds: Delay of sending. More than a few milliseconds means that the load generator is too slow.
        first_token_after_seconds: Time to the first token of a stream; None if there was none.
        ended_after_seconds: Latency for a user who wanted to send the request at *intended_at*.
        status_code: Status code; None if no response began.
        outcome: Outcome of the request.
    """

    correlation_id: str
    caller: str
    route: str
    model: str | None
    intended_at: datetime
    sent_after_seconds: float
    first_token_after_seconds: float | None
    ended_after_seconds: float
    status_code: int | None
    outcome: RequestOutcome

    def to_line(self) -> bytes:
        """Return the record as one line of JSON."""
        first_token = self.first_token_after_seconds
        values = {
            "correlation_id": self.correlation_id,
            "caller": self.caller,
            "route": self.route,
            "model": self.model,
            "intended_at": self.intended_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "sent_after_seconds": round(self.sent_after_seconds, 6),
            "first_token_after_seconds": None if first_token is None else round(first_token, 6),
            "ended_after_seconds": round(self.ended_after_seconds, 6),
            "status_code": self.status_code,
            "outcome": self.outcome,
        }
        return json.dumps(values, separators=(",", ":")).encode() + b"\n"


class RecordFile:
    """
    An append-only file of records.

    Several processes can write to the same file, because each line is one write in append mode.
    """

    def __init__(self, path: Path) -> None:
        """
        Open *path*, and create it and its directories if they are missing.

        Raises:
            OSError: If the file cannot be opened, or is not a regular file.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without O_NONBLOCK this would wait forever for the reader of a pipe.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._file = os.open(path, flags, 0o644)
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a regular file", str(path))

    def append(self, record: RequestRecord) -> None:
        """
        Append *record*.

        Raises:
            OSError: If the record was not written, or only a part of it.
        """
        line = record.to_line()
        written = os.write(self._file, line)
        if written < len(line):
            raise OSError(f"only {written} of {len(line)} bytes of a record were written")

    def close(self) -> None:
        os.close(self._file)
