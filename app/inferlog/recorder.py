"""Gives each finished document its time, id and sequence number, and writes it as one line."""

import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from inferlog.event import ACTION_AND_OUTCOME, document
from inferlog.ids import IdMaker


class Sink(Protocol):
    """Takes finished lines. Neither method raises."""

    def write(self, line: bytes) -> bool:
        """Take *line*, newline included; return False if it is lost."""

    def close(self) -> None:
        """Finish and release what is held."""

    def abandon(self) -> None:
        """Release, in a forked child, what belongs to the parent."""


class Timestamps:
    """Formats time as ``2026-11-23T06:15:00.123456Z``; the part down to the second is kept from last time."""

    def __init__(self) -> None:
        self._second_begins = -1
        self._second_ends = -1
        self._prefix = ""

    def __call__(self, unix_nanoseconds: int) -> str:
        """Return the moment *unix_nanoseconds* after 1970, cut to microseconds."""
        if not self._second_begins <= unix_nanoseconds < self._second_ends:
            second = unix_nanoseconds // 1_000_000_000
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
            self._second_begins, self._second_ends = second * 1_000_000_000, (second + 1) * 1_000_000_000
        return f"{self._prefix}{(unix_nanoseconds - self._second_begins) // 1000:06d}Z"


class Recorder:
    """
    Writes the lines of one stream of one process. Thread-safe; never raises.

    Time, sequence and write happen under one lock, so that sequence and time grow together in the file and a hole
    in the sequence is a loss.

    Args:
        sink: Where the lines go.
        dataset: ``event.dataset`` of each line, such as ``inference.events``.
        service: The ``service`` object of each line.
        make_id: Makes ``event.id``.
    """

    def __init__(self, sink: Sink, *, dataset: str, service: Mapping[str, Any], make_id: IdMaker) -> None:
        self._sink = sink
        self._dataset = dataset
        # What every line begins with. The service is the same bytes each time: serialised once.
        self._head = {"@timestamp": "", "event": {}, "service": orjson.Fragment(orjson.dumps(service))}
        self._make_id = make_id
        self._timestamp = Timestamps()
        self._lock = threading.Lock()
        self._sequence = 0
        self.written = 0
        self.dropped = 0

    def record_inference(self, fields: Mapping[str, Any], labels: Mapping[str, Any] | None = None) -> None:
        """Write the event of one inference from its checked *fields*, ``status`` among them."""
        action, outcome = ACTION_AND_OUTCOME[fields["status"]]
        event = {"id": self._make_id(), "sequence": 0, "action": action, "outcome": outcome, "dataset": self._dataset}
        line = document(fields, labels, self._head)
        line["event"] = event
        with self._lock:
            event["sequence"] = self._sequence
            self._sequence += 1
            self._write(line)

    def record_line(self, content: Mapping[str, Any]) -> None:
        """Write a line of another stream: *content* beside time, id, dataset and service."""
        line = {**self._head, "event": {"id": self._make_id(), "dataset": self._dataset}, **content}
        with self._lock:
            self._write(line)

    def close(self) -> None:
        """Close the sink. A later line opens it again."""
        with self._lock:
            self._sink.close()

    def abandon(self) -> None:
        """Let go of the parent's sink in a forked child, where the lock may be held by a thread that is not there."""
        self._sink.abandon()

    def _write(self, line: dict[str, Any]) -> None:
        line["@timestamp"] = self._timestamp(time.time_ns())
        # Every value has passed a check or became a label, so that JSON can carry all of them.
        if self._sink.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)):
            self.written += 1
        else:
            self.dropped += 1
