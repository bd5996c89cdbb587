"""
One line now and then that says how a process is: what latency is a sign of, and that it is still there.

It is also the count against which a loss at the very end of an instance's events shows.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from inferlog.activity import Activity
from inferlog.recorder import EventRecorder, LineRecorder
from inferlog.sinks.shipped import shipped_bytes
from inferlog.vitals import Vitals

Gauge = Callable[[], float | None]

MESSAGE: Final = "service_heartbeat"
STOPPED: Final = "service_stopped"
"""The message of a process's last heartbeat: it ends on purpose, and its silence from now on is no alarm."""

_LAG_AT_MOST_SECONDS = 1.0
_gauges: dict[str, Gauge] = {}


def add_gauge(name: str, read: Gauge) -> None:
    """
    Have each heartbeat carry a figure of the service's own as ``gauges.<name>``, such as ``queue_requests``.

    *read* is called from another thread, every few seconds; None is no figure. An exception in it is logged once.
    """
    _gauges[name] = read


class Heartbeat:
    """
    Writes a line every *every_seconds* from a thread of its own, and a last one at the end.

    The thread begins with the process's first event or request: a process that does nothing writes nothing.
    """

    def __init__(
        self,
        recorder: LineRecorder,
        events: EventRecorder,
        *,
        log_dir: Path,
        instance_id: str,
        every_seconds: float,
    ) -> None:
        self.recorder = recorder
        self.activity = Activity()
        self._events = events
        self._log_dir = log_dir
        self._instance_id = instance_id
        self._every_seconds = every_seconds
        self._vitals = Vitals()
        self.begun = every_seconds <= 0
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._failing: set[str] = set()

    def start(self) -> None:
        """Begin, unless begun already or switched off with 0 seconds."""
        if not self.begun:
            self.begun = True
            # A daemon: a service that ends without shutdown() must not wait for it.
            self._thread = threading.Thread(target=self._beat_until_stopped, name="inferlog-heartbeat", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write the last line and end the thread; nothing if it never began."""
        if self._thread is not None and not self._stopped.is_set():
            self._stopped.set()
            self._thread.join()

    def line(self) -> dict[str, Any]:
        """Return what a heartbeat says at this moment."""
        line: dict[str, Any] = {
            "message": MESSAGE,
            "log": {"level": "info", "logger": "inferlog"},
            "events_written": self._events.written,
            "events_dropped": self._events.dropped,
            "copies_dropped": self._events.copies_dropped,
            "events_unshipped_bytes": self._unshipped_bytes(),
            "process": self._vitals.process(),
            "active_requests": self.activity.open_requests,
        }
        lag = self.activity.loop_lag_seconds(at_most_seconds=_LAG_AT_MOST_SECONDS)
        if lag is not None:
            line["event_loop"] = {"lag_seconds": round(lag, 6)}
        gpu = self._vitals.gpu()
        if gpu is not None:
            line["gpu"] = gpu
        gauges = {
            name: figure for name, read in list(_gauges.items()) if (figure := self._read(name, read)) is not None
        }
        if gauges:
            line["gauges"] = gauges
        return line

    def _beat_until_stopped(self) -> None:
        while not self._stopped.wait(self._every_seconds):
            self.recorder.record(self.line())
        # A loop that is just ending may be the one that waits for this thread: it is not asked how late it is.
        self.activity.serve_nowhere()
        self.recorder.record({**self.line(), "message": STOPPED})

    def _unshipped_bytes(self) -> int:
        shipped = shipped_bytes(self._log_dir)
        unshipped = 0
        for path in self._log_dir.glob(f"*-{self._instance_id}-*.jsonl"):
            try:
                unshipped += max(0, path.stat().st_size - shipped.get(path.name, 0))
            except OSError:
                continue  # deleted in between, since it was shipped
        return unshipped

    def _read(self, name: str, read: Gauge) -> float | None:
        try:
            figure = read()
            return None if figure is None else float(figure)
        except Exception:  # the service's own function; the heartbeat must go on
            if name not in self._failing:
                self._failing.add(name)
                logging.getLogger("inferlog.heartbeat").exception("gauge.failed", extra={"gauge": name})
            return None
