"""Gives what is finished its time, id, and for events sequence and hash, and writes it as one line."""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from inferlog.audit import FIRST, Hasher, canonical_body
from inferlog.event import ACTION_AND_OUTCOME, document
from inferlog.ids import IdMaker


class Sink(Protocol):
    """
    Takes finished lines. No method raises.

    Attributes:
        copies_dropped: Lines that a copy beside the record of truth has lost, as far as it knows.
    """

    @property
    def copies_dropped(self) -> int: ...  # noqa: D102 (as above)

    def write(self, line: bytes) -> bool:
        """Take *line*, newline included; return False if it is lost."""

    def close(self) -> None:
        """Finish and release what is held."""

    def detach_after_fork(self) -> None:
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
        # A million more, and its first digit cut off, are the six digits in half the time of a format.
        return self._prefix + str((unix_nanoseconds - self._second_begins) // 1000 + 1_000_000)[1:] + "Z"


class _Recorder(ABC):
    """
    What both recorders have: a sink and the lock that keeps its lines apart.

    A signal handler or a finaliser that logs may come in the midst of a line of the same thread. What it has to say
    waits until that line is out; a plain lock would wait for ever, another line within the line would tear both.
    """

    def __init__(self, sink: Sink, make_id: IdMaker) -> None:
        self._sink = sink
        self._make_id = make_id
        self._timestamp = Timestamps()
        self._lock = threading.RLock()
        self._in_a_line = False
        self._waiting: deque[dict[str, Any]] = deque()

    def close(self) -> None:
        """Close the sink. A later line opens it again."""
        with self._lock:
            self._in_a_line = True
            try:
                self._write_waiting()
                self._sink.close()
            finally:
                self._in_a_line = False

    def _put(self, content: dict[str, Any]) -> bool:
        """Write *content*, or have it wait for the line that this thread is in the midst of; return False if lost."""
        with self._lock:
            if self._in_a_line:
                self._waiting.append(content)
                return True
            self._in_a_line = True
            try:
                whole = self._write(content)
                self._write_waiting()
            finally:
                self._in_a_line = False
        return whole

    def _write_waiting(self) -> None:
        while self._waiting:
            self._write(self._waiting.popleft())

    @abstractmethod
    def _write(self, content: dict[str, Any]) -> bool: ...

    def detach_after_fork(self) -> None:
        """Let go of the parent's sink in a forked child, where the lock may be held by a thread that is not there."""
        self._sink.detach_after_fork()


class LineRecorder(_Recorder):
    """
    Writes the lines of one stream of one process that are not inference events. Thread-safe; never raises.

    Args:
        sink: Where the lines go.
        dataset: ``event.dataset`` of each line, such as ``inference.app``.
        service: The ``service`` object of each line.
        make_id: Makes ``event.id``.
    """

    def __init__(self, sink: Sink, *, dataset: str, service: Mapping[str, Any], make_id: IdMaker) -> None:
        super().__init__(sink, make_id)
        self._dataset = dataset
        self.written = 0
        self.dropped = 0
        # The same bytes in every line: serialised once.
        self._service = orjson.Fragment(orjson.dumps(service))

    def record(self, content: Mapping[str, Any]) -> bool:
        """Write *content* beside time, id, dataset and service; return False if it is lost."""
        return self._put(
            {
                "@timestamp": "",
                "event": {"id": self._make_id(), "dataset": self._dataset},
                "service": self._service,
                **content,
            }
        )

    def _write(self, content: dict[str, Any]) -> bool:
        content["@timestamp"] = self._timestamp(time.time_ns())
        # Whatever found its way here: a line with its text is better than an exception in the service's own line.
        line = orjson.dumps(content, default=str, option=orjson.OPT_APPEND_NEWLINE)
        try:
            whole = self._sink.write(line)
        except Exception:
            self.dropped += 1
            raise
        if whole:
            self.written += 1
        else:
            self.dropped += 1
        return whole


class EventRecorder(_Recorder):
    """
    Writes the inference events of one process. Thread-safe; never raises.

    Time, sequence, hash and write happen under one lock: sequence and time grow together in the file, a hole in the
    sequence is a loss, and each event carries the hash of the one before it. An event that the sink drops leaves its
    hole in the sequence but no break in the chain, so that it can be told from one that was removed later.

    Args:
        sink: Where the lines go.
        service: The ``service`` object of each event.
        make_id: Makes ``event.id``.
        hasher: Computes the hash chain.
    """

    def __init__(self, sink: Sink, *, service: Mapping[str, Any], make_id: IdMaker, hasher: Hasher) -> None:
        super().__init__(sink, make_id)
        self._head = {"service": orjson.Fragment(orjson.dumps(service, option=orjson.OPT_SORT_KEYS))}
        self._hasher = hasher
        self._sequence = 0
        self._previous_hash = self._hash = FIRST
        self.written = 0
        self.dropped = 0

    @property
    def copies_dropped(self) -> int:
        """How many events a copy beside the record of truth has lost."""
        return self._sink.copies_dropped

    def record(self, fields: Mapping[str, Any], labels: Mapping[str, Any] | None = None) -> None:
        """Write the event of one inference from its checked *fields*, ``status`` among them."""
        action, outcome = ACTION_AND_OUTCOME[fields["status"]]
        event: dict[str, Any] = {
            "action": action,
            "dataset": "inference.events",
            "id": self._make_id(),
            "outcome": outcome,
        }
        content = document(fields, labels, self._head)
        if "event" in content:
            event |= content["event"]
        content["event"] = event
        self._put(content)

    def _write(self, content: dict[str, Any]) -> bool:
        content["event"]["sequence"] = self._sequence
        self._sequence += 1
        try:
            whole = self._sink.write(self._chained(content))
        except Exception:
            self.dropped += 1
            raise
        if whole:
            self.written += 1
            self._previous_hash = self._hash
        else:
            self.dropped += 1
        return whole

    def _chained(self, content: dict[str, Any]) -> bytes:
        """Return the line of *content*, with time and hashes; canonical but for its beginning."""
        unix_nanoseconds = time.time_ns()
        # Every value has passed a check or became a label, so that JSON can carry all of them.
        body = canonical_body(content)
        self._hash = self._hasher(self._previous_hash, unix_nanoseconds // 1000, body)
        timestamp, previous_hash = self._timestamp(unix_nanoseconds), self._previous_hash
        head = f'{{"@timestamp":"{timestamp}","audit":{{"prev":"{previous_hash}","hash":"{self._hash}"}},'
        return head.encode() + body[1:] + b"\n"
