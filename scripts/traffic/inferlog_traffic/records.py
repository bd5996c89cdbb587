"""What the client knows of each request, a line each, so that it can be matched with the request's event."""

import errno
import json
import os
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from inferlog_traffic.exchange import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    One request. All seconds count from the moment at which it was due.

    Attributes:
        correlation_id: That of the request's event.
        caller: The class of its caller: ``steady``, ``stream``, …
        route: Where it went, as a template.
        model: What it asked for; None if its body did not say.
        intended_at: When it was due; timezone-aware.
        sent_after_seconds: How late it left: more than a few milliseconds means that the load generator was too slow.
        first_token_after_seconds: Of streams; None if no token came.
        ended_after_seconds: Latency as somebody feels it who wanted to ask at *intended_at*.
        status_code: None if no answer began.
        outcome: How it ended.
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
    outcome: Outcome

    def as_line(self) -> bytes:
        """Return it as one line of JSON."""
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
    A file of records; what it holds already stays.

    Several processes may write to the same one: each line is one write to its end.
    """

    def __init__(self, path: Path) -> None:
        """
        Open *path*, and make it and its folders if they are not there.

        Raises:
            OSError: If it cannot be opened, or is no regular file.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without O_NONBLOCK the reader of a pipe would be waited for, for ever.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._file = os.open(path, flags, 0o644)
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            self.close()
            raise OSError(errno.EINVAL, "no regular file", str(path))

    def append(self, record: Record) -> None:
        """
        Write *record* behind all others.

        Raises:
            OSError: If the file system did not take it, or not all of it.
        """
        line = record.as_line()
        written = os.write(self._file, line)
        if written < len(line):
            raise OSError(f"only {written} of {len(line)} bytes of a record were written")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
