"""The files of a log directory: their events in the order of a verification, and the counts of their heartbeats."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.files import NOT_LOGS
from inferlog_ops.core.progress import ReportProgress, ignore_progress
from inferlog_ops.query.audit.chain import Event, HeartbeatCount, get_instance_id, sort_key
from inferlog_ops.query.timerange import read_timestamp


class EventFiles:
    """
    The files of events and heartbeats below a directory.

    Attributes:
        unreadable_lines: Number of lines that are not valid JSON: cut short by a full disk or a crash, or damaged.
            An event in one of them is missing in its chain.

    Args:
        directory: Log directory of one or several services.
        report: Receives progress lines.

    Raises:
        OperatorError: If *directory* is not a directory.
    """

    def __init__(self, directory: Path, report: ReportProgress = ignore_progress) -> None:
        if not directory.is_dir():
            raise OperatorError(
                f"{directory} is not a directory; expected the directory with the event files", exit_code=2
            )
        self.unreadable_lines = 0
        self._directory = directory
        self._report = report

    def read_counts(self, start: datetime, end: datetime) -> dict[str, HeartbeatCount]:
        """Return the counts of each instance's last heartbeat in the range; raises as `read_events`."""
        counted: dict[str, HeartbeatCount] = {}
        for _, _, line in self._read(self._list("health-")):
            written, dropped = line.get("events_written"), line.get("events_dropped", 0)
            if isinstance(written, int) and isinstance(dropped, int) and start <= _read_time(line) < end:
                before = counted.get(get_instance_id(line), HeartbeatCount())
                counted[get_instance_id(line)] = HeartbeatCount(
                    written=max(written, before.written), dropped=max(dropped, before.dropped)
                )
        return counted

    def read_events(self, start: datetime, end: datetime) -> Iterator[Event]:
        """
        Yield the events with *start* <= ``@timestamp`` < *end*, sorted by instance and sequence.

        Raises:
            OperatorError: If the directory has no event file, or if one was changed while it was read.
            OSError: If a file or subdirectory is not readable: its events would be missing without a finding.
        """
        paths = self._list("events-")
        if not paths:
            raise OperatorError(f"{self._directory} and its subdirectories have no file events-*.jsonl", exit_code=2)
        instances: dict[str, str] = {}
        # Only the places of the events are sorted in memory: the events themselves would need several times as much.
        places: list[tuple[str, int, int, int]] = []
        for number, offset, document in self._read(paths):
            if start <= _read_time(document) < end:
                instance, sequence = sort_key(document)
                places.append((instances.setdefault(instance, instance), sequence, number, offset))
        places.sort()
        for number, neighbours in groupby(places, key=itemgetter(2)):
            with suppress(FileNotFoundError), paths[number].open("rb") as lines:  # as above
                for *_, offset in neighbours:
                    lines.seek(offset)
                    if (event := _parse(lines.readline())) is None:
                        raise OperatorError(f"{paths[number]} was changed while it was read; verify again")
                    yield event

    def _list(self, prefix: str) -> list[Path]:
        """Return the files of lines whose names begin with *prefix*."""
        return sorted(
            Path(folder, name)
            for folder, _, names in os.walk(self._directory, onerror=self._raise_unless_harmless)
            for name in names
            if name.startswith(prefix) and name.endswith(".jsonl")
        )

    def _raise_unless_harmless(self, error: OSError) -> None:
        """Ignore a folder that was deleted since its parent was read, and that of a file system's checks."""
        folder = Path(error.filename)
        if folder == self._directory or not (isinstance(error, FileNotFoundError) or folder.name == NOT_LOGS):
            raise error

    def _read(self, paths: list[Path]) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Yield number of the file, offset of the line, and document."""
        for number, path in enumerate(paths):
            self._report(f"reading file {number + 1} of {len(paths)}")
            offset = 0
            with suppress(FileNotFoundError), path.open("rb") as lines:  # deleted by retention since it was listed
                for line in lines:
                    if (document := _parse(line)) is not None:
                        yield number, offset, document
                    else:
                        self.unreadable_lines += 1
                        if not line.endswith(b"\n"):
                            break  # its writer is in the middle of it: the rest would look like a line of its own
                    offset += len(line)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _read_time(document: dict[str, Any]) -> datetime:
    try:
        return read_timestamp(document["@timestamp"])
    except (KeyError, TypeError, ValueError):
        # An event without a valid time must become a finding; most ranges contain the current time.
        return datetime.now(UTC)
