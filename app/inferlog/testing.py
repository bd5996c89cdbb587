"""
In-memory recording for the tests of services that use inferlog.

    from inferlog.testing import recording

    def test_prediction_logs_its_model_version():
        with recording() as recorded:
            client.post("/predict", json=…)
        assert recorded.event["model_version"] == "v3"

With pytest, the fixture ``inferlog_recorded`` does the same for a whole test; installing inferlog registers it.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from inferlog import configuration

__all__ = ["Recorded", "RecordingSink", "recording"]


class RecordingSink:
    """Sink that keeps the lines of one stream in memory. Thread-safe."""

    copies_dropped = 0

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._lock = threading.Lock()

    def write(self, line: bytes) -> bool:
        """Keep *line*."""
        with self._lock:
            self.lines.append(line)
        return True

    def close(self) -> None:
        """Do nothing: recorded lines are kept."""

    def detach_after_fork(self) -> None:
        """Do nothing, as above."""


class Recorded:
    """Lines written since :func:`recording` began, in the form that the log files have."""

    def __init__(self) -> None:
        self._sinks: dict[str, RecordingSink] = {}

    def sink(self, stream: str) -> RecordingSink:
        """Return the sink of *stream*: ``events``, ``app``, ``health`` or ``content``."""
        return self._sinks.setdefault(stream, RecordingSink())

    @property
    def events(self) -> list[dict[str, Any]]:
        """The inference events, as nested objects."""
        return self._parse_documents("events")

    @property
    def event(self) -> dict[str, Any]:
        """
        The only event.

        Raises:
            AssertionError: If the number of events is not one.
        """
        events = self.events
        if len(events) != 1:
            raise AssertionError(f"expected one event, found {len(events)}: {events}")
        return events[0]

    @property
    def log_lines(self) -> list[dict[str, Any]]:
        """All other log lines."""
        return self._parse_documents("app")

    @property
    def contents(self) -> list[dict[str, Any]]:
        """Prompts and answers, with ``capture_content=True``."""
        return self._parse_documents("content")

    def _parse_documents(self, stream: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.sink(stream).lines]


@contextmanager
def recording(**settings: Any) -> Iterator[Recorded]:
    """
    Record lines in memory until the block ends; then restore the previous configuration.

    Args:
        **settings: As for :func:`inferlog.configure`. Heartbeats are off by default.
    """
    recorded = Recorded()
    with configuration.replace_runtime({"service_name": "test", "heartbeat_seconds": 0.0, **settings}, recorded.sink):
        yield recorded
