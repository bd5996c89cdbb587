"""Stamps a finished record with time, id, sequence and hash, and writes it as one JSON line."""

import itertools
import os
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Generic, Protocol, TypeVar

import orjson

from inferlog.audit import FIRST, Hasher, serialize_canonically
from inferlog.context import Inference
from inferlog.event import EventLayout, Status

_LAYOUTS_LIMIT: Final = 256
_LayoutKey = tuple[Status, tuple[str, ...]]
Content = TypeVar("Content")
"""A record before its time, sequence and hash."""

unwritten_events: Final[deque[str]] = deque()
"""
Names of exceptions that have each lost an event, until :class:`EventRecorder` counts them. At the limit of the
recursion no function of Python can be called, but a name can be appended here.
"""

# A forked child would count its parent's losses.
os.register_at_fork(after_in_child=unwritten_events.clear)


class Sink(Protocol):
    """
    Destination of finished lines. No method raises.

    Attributes:
        copies_dropped: Lines lost by sinks other than the record of truth, as far as they can detect.
    """

    @property
    def copies_dropped(self) -> int: ...  # noqa: D102 (as above)

    def write(self, line: bytes) -> bool:
        """Write *line*, newline included; return False if it is lost."""

    def close(self) -> None:
        """Flush and release all resources."""

    def detach_after_fork(self) -> None:
        """Release the parent's resources in a forked child."""


def has_written(sink: Sink, line: bytes) -> bool:
    """
    Return whether *sink* has written *line* although an exception, as of a signal handler, ended its ``write``.

    False if the sink has no method of this name.
    """
    check: Callable[[bytes], bool] | None = getattr(sink, "has_written", None)
    return check is not None and check(line)


class _ClosingSink:
    """Sink of a replaced configuration: closed, with a report of losses, after each line of a thread that has it."""

    def __init__(self, sink: Sink, report_losses: Callable[[], None]) -> None:
        self._sink = sink
        self._report_losses = report_losses

    @property
    def copies_dropped(self) -> int:
        return self._sink.copies_dropped

    def write(self, line: bytes) -> bool:
        whole = self._sink.write(line)
        self.close()
        return whole

    def has_written(self, line: bytes) -> bool:
        whole = has_written(self._sink, line)
        self.close()
        return whole

    def close(self) -> None:
        self._sink.close()
        self._report_losses()

    def detach_after_fork(self) -> None:
        self._sink.detach_after_fork()


IdMaker = Callable[[], str]
"""Generates ids. Thread-safe: no Python code runs during a call."""

_HEX_PAIRS: Final = [f"{number:02x}" for number in range(256)]


def make_id_maker() -> IdMaker:
    """
    Return a generator of ids of 32 hexadecimal digits: 13 of its start time in microseconds, 9 random, 10 of a counter.

    Ids of one process are ordered, which Elasticsearch looks up faster (6 to 15 % less CPU in a trial), and cost less
    than a twentieth of ``uuid4``. A forked child needs a new generator.
    """
    # Counts in C: a Python function with a counter costs twice as much.
    prefix = f"{time.time_ns() // 1000:013x}{os.urandom(5).hex()[:9]}"
    return map("".join, itertools.product((prefix,), *[_HEX_PAIRS] * 5)).__next__


def make_instance_id() -> str:
    """Return 16 hexadecimal digits for ``service.instance.id``: one process from start or fork to exit."""
    return os.urandom(8).hex()


class Clock:
    """Reads the time in both forms of a line."""

    def __init__(self) -> None:
        self._second = "not read yet"
        self._prefix = ""

    def read(self) -> tuple[str, str]:
        """
        Return the time twice: in microseconds since 1970, and as ``2026-11-23T06:15:00.123456Z``.

        The timestamp's part down to the second is cached.
        """
        unix_microseconds = str(time.time_ns() // 1000)
        second = unix_microseconds[:-6]
        if second != self._second:
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(int(second or 0)))
            self._second = second
        return unix_microseconds, f"{self._prefix}{unix_microseconds[-6:]}Z"


class _Recorder(ABC, Generic[Content]):
    """
    Base of both recorders: a sink and the lock that serialises its lines.

    A signal handler or a finaliser that logs may run while its own thread writes a line. Its line is queued until that
    line is written; a plain lock would deadlock, and a nested write would tear both lines.

    Attributes:
        failures: Names of exceptions that have each lost a line, until they are reported.
    """

    def __init__(self, sink: Sink, make_id: IdMaker) -> None:
        self._sink = sink
        self._make_id = make_id
        self._clock = Clock()
        self._lock = threading.RLock()
        self._in_a_line = False
        self._waiting: deque[Content] = deque()
        self.failures: deque[str] = deque()

    def close(self) -> None:
        """Close the sink. A later line reopens it."""
        with self._lock:
            self._in_a_line = True
            try:
                self._write_waiting()
                self._sink.close()
            finally:
                self._in_a_line = False

    def retire(self, report_losses: Callable[[], None]) -> None:
        """Keep the sink closed from :meth:`close` on: a later line reopens it, closes it and calls *report_losses*."""
        with self._lock:
            self._sink = _ClosingSink(self._sink, report_losses)

    def _put(self, content: Content) -> bool:
        """Write *content*, or queue it if this thread is writing a line; return False if lost."""
        with self._lock:
            if self._in_a_line:
                self._waiting.append(content)
                return True
            self._in_a_line = True
            try:
                whole = self._write(content)
                if self._waiting:
                    self._write_waiting()
            finally:
                self._in_a_line = False
        return whole

    def _write_waiting(self) -> None:
        while self._waiting:
            with suppress(Exception):  # counted by _write; the line before it is written
                self._write(self._waiting.popleft())

    @abstractmethod
    def _write(self, content: Content) -> bool: ...

    def detach_after_fork(self) -> None:
        """Release the parent's sink in a forked child. Takes no lock: a thread missing in the child may hold it."""
        self._sink.detach_after_fork()


class LineRecorder(_Recorder[dict[str, Any]]):
    """
    Writes the lines of one stream of one process, other than inference events. Thread-safe; never raises.

    Args:
        sink: Destination of the lines.
        dataset: ``event.dataset`` of each line, such as ``inference.app``.
        service: The ``service`` object of each line.
        make_id: Generator of ``event.id``.
    """

    def __init__(self, sink: Sink, *, dataset: str, service: Mapping[str, Any], make_id: IdMaker) -> None:
        super().__init__(sink, make_id)
        self._dataset = dataset
        self.written = 0
        self.dropped = 0
        # The same bytes in every line, serialised once.
        self._service = orjson.Fragment(orjson.dumps(service))

    def record(self, content: Mapping[str, Any]) -> bool:
        """Write *content* with time, id, dataset and service; return False if it is lost."""
        return self._put(
            {
                "@timestamp": "",
                "event": {"id": self._make_id(), "dataset": self._dataset},
                "service": self._service,
                **content,
            }
        )

    def _write(self, content: dict[str, Any]) -> bool:
        line = b""
        try:
            content["@timestamp"] = self._clock.read()[1]
            # default=str: for an unknown type, its text is better than an exception in the service's log call.
            line = orjson.dumps(content, default=str, option=orjson.OPT_APPEND_NEWLINE)
            whole = self._sink.write(line)
        except BaseException as error:
            if line and not isinstance(error, RecursionError) and has_written(self._sink, line):
                self.written += 1
            else:
                self.dropped += 1
                self.failures.append(type(error).__name__)
            raise
        if whole:
            self.written += 1
        else:
            self.dropped += 1
        return whole


class EventRecorder(_Recorder[tuple[Inference, dict[str, Any], str]]):
    """
    Writes the inference events of one process. Thread-safe; never raises.

    Time, sequence, hash and write are under one lock: sequence and time increase together in the file, a gap in the
    sequence is a loss, and each event has the hash of the one before it. An event dropped by the sink leaves a gap in
    the sequence but no break in the chain, which distinguishes it from one removed later. An exception on its
    way to this class has lost the event too: who catches it with an inference that is not closed adds its name to
    :data:`unwritten_events`.

    Args:
        sink: Destination of the events.
        service: The ``service`` object of each event.
        make_id: Generator of ``event.id``.
        hasher: Computes the hash chain.
    """

    def __init__(self, sink: Sink, *, service: Mapping[str, Any], make_id: IdMaker, hasher: Hasher) -> None:
        super().__init__(sink, make_id)
        self._constants = {
            ("event", "dataset"): "inference.events",
            ("service",): orjson.Fragment(serialize_canonically(service)),
        }
        self._layouts: dict[_LayoutKey, EventLayout] = {}
        self._hash = hasher.__call__  # Python calls a method in less time than an object
        self._sequence = 0
        self._previous_hash = FIRST
        self.written = 0
        self.dropped = 0

    @property
    def copies_dropped(self) -> int:
        """Events lost by sinks other than the record of truth."""
        return self._sink.copies_dropped

    def record(self, inference: Inference, fields: dict[str, Any]) -> None:
        """
        Write the event of *inference*, and close it.

        Args:
            inference: The inference, with its labels.
            fields: Its fields in their written form, ``status`` among them; owned by the recorder from now on.
        """
        if inference.labels:
            fields["labels"] = orjson.Fragment(serialize_canonically(inference.labels))
        self._put((inference, fields, self._make_id()))
        inference.closed = True

    def count_unwritten(self) -> None:
        """Count the events that exceptions have lost as dropped, each with a number of the sequence."""
        if not unwritten_events:
            return  # without the lock, which another thread may hold until a slow disk answers
        with self._lock:
            while True:
                try:
                    name = unwritten_events.popleft()
                except IndexError:
                    return
                self._sequence += 1
                self.dropped += 1
                self.failures.append(name)

    def _write(self, content: tuple[Inference, dict[str, Any], str]) -> bool:
        if unwritten_events:
            self.count_unwritten()  # before this event, so that their numbers are a gap
        inference, fields, event_id = content
        inference.closed = True  # from now on its loss is counted here
        line = b""
        sequence, previous = self._sequence, self._previous_hash
        self._sequence = sequence + 1
        try:
            key = fields["status"], tuple(fields)
            layout = self._layouts.get(key) or self._add_layout(key)
            # Every value has passed a check or became a label, so that all can be serialised as JSON.
            body = orjson.dumps(layout.fill(fields, event_id, sequence))
            unix_microseconds, timestamp = self._clock.read()
            own = self._hash(previous, unix_microseconds, body)
            head = f'{{"@timestamp":"{timestamp}","audit":{{"prev":"{previous}","hash":"{own}"}},'
            line = b"".join((head.encode(), body[1:], b"\n"))
            whole = self._sink.write(line)
        except BaseException as error:
            # The limit of the recursion is reached before the write, and there is room for no call.
            if line and not isinstance(error, RecursionError) and has_written(self._sink, line):
                self.written += 1
                self._previous_hash = own
            else:
                self._sequence -= 1  # count_unwritten gives it a number
                unwritten_events.append(type(error).__name__)
            raise
        if whole:
            self.written += 1
            self._previous_hash = own
        else:
            self.dropped += 1
        return whole

    def _add_layout(self, key: _LayoutKey) -> EventLayout:
        if len(self._layouts) >= _LAYOUTS_LIMIT:
            self._layouts.clear()  # a service that binds its values in many orders
        layout = self._layouts[key] = EventLayout(*key, self._constants)
        return layout
