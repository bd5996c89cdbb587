"""
One line now and then that says how a process is: what latency is a sign of, and that it is still there.

It is also the count against which a loss at the very end of an instance's events shows.
"""

import logging
import math
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from inferlog.activity import Activity
from inferlog.losses import Stats
from inferlog.recorder import LineRecorder, Timestamps
from inferlog.sinks.shipped import shipped_bytes
from inferlog.vitals import Vitals

Gauge = Callable[[], float | None]

MESSAGE: Final = "service_heartbeat"
STOPPED: Final = "service_stopped"
"""The message of a process's last heartbeat: it ends on purpose, and its silence from now on is no alarm."""

_LAG_AT_MOST_SECONDS = 1.0
_STOP_AT_MOST_SECONDS = 3.0
_gauges: dict[str, Gauge] = {}


def add_gauge(name: str, read: Gauge) -> None:
    """
    Have each heartbeat carry a figure of the service's own as ``gauges.<name>``, such as ``queue_requests``.

    *read* is called from another thread, every few seconds; None is no figure. An exception in it is logged once.
    While it blocks there are no heartbeats, and the process's end waits for it, but not for long.

    Raises:
        TypeError: If *name* is not text.
        ValueError: If *name* cannot be a field's name.
    """
    if not isinstance(name, str):
        raise TypeError(f"a gauge's name is {name!r:.80}; expected text such as 'queue_requests'")
    if not all(part.strip() for part in name.split(".")) or not name.isprintable():
        raise ValueError(f"a gauge's name is {name!r:.80}; expected a field's name such as 'queue_requests'")
    _gauges[name] = read


class Heartbeat:
    """
    Writes a line every *every_seconds* from a thread of its own, and a last one at the end.

    The thread begins with the process's first event or request: a process that does nothing writes nothing.
    """

    def __init__(
        self,
        recorder: LineRecorder,
        *,
        stats: Callable[[], Stats],
        log_dir: Path,
        instance_id: str,
        every_seconds: float,
    ) -> None:
        self.recorder = recorder
        self.activity = Activity()
        self._stats = stats
        self._started = Timestamps()(time.time_ns())
        self._log_dir = log_dir
        self._instance_id = instance_id
        self._every_seconds = every_seconds
        self._vitals = Vitals()
        self.begun = every_seconds <= 0
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._failed: set[str] = set()
        self._left_behind = False

    def start(self) -> None:
        """Begin, unless begun already or switched off with 0 seconds. Without a thread, the next event tries again."""
        if self.begun:
            return
        self.begun = True
        # A daemon: a service that ends without shutdown() must not wait for it.
        thread = threading.Thread(
            target=self._beat_until, args=(self._stopped,), name="inferlog-heartbeat", daemon=True
        )
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # the machine's or the container's limit of threads is reached
            self.begun = False
            self._log_once("heartbeat.not_started")
            return
        self._thread = thread

    def stop(self) -> None:
        """Write the last line and end the thread; nothing if it never began. Waits a few seconds at most."""
        if self._thread is None or self._stopped.is_set():
            return
        self._stopped.set()
        self._thread.join(_STOP_AT_MOST_SECONDS)
        if self._thread.is_alive():  # in a gauge that blocks: the process's goodbye is said without any
            self._left_behind = True
            self._log_once("heartbeat.blocked")
            self._beat(STOPPED, with_gauges=False)

    def rest(self) -> None:
        """Write the last line as :meth:`stop` does, but begin again with the next event: the process may go on."""
        self.stop()
        if not self._left_behind:
            self._thread, self._stopped = None, threading.Event()
            self.begun = self._every_seconds <= 0

    def line(self) -> dict[str, Any]:
        """Return what a heartbeat says at this moment."""
        line = self._line_without_gauges()
        gauges = {
            name: figure for name, read in list(_gauges.items()) if (figure := self._read(name, read)) is not None
        }
        if gauges:
            line["gauges"] = gauges
        return line

    def _line_without_gauges(self) -> dict[str, Any]:
        stats = self._stats()
        line: dict[str, Any] = {
            "message": MESSAGE,
            "log": {"level": "info", "logger": "inferlog"},
            "instance_started": self._started,
            "events_written": stats.events_written,
            "events_dropped": stats.events_dropped,
            "events_removed": stats.events_removed,
            "lines_dropped": stats.lines_dropped,
            "copies_dropped": stats.copies_dropped,
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
        return line

    def _beat_until(self, stopped: threading.Event) -> None:
        while not stopped.wait(min(self._every_seconds, threading.TIMEOUT_MAX)):
            self._beat(MESSAGE)
        # A loop that is just ending may be the one that waits for this thread: it is not asked how late it is.
        self.activity.serve_nowhere()
        self._beat(STOPPED)

    def _beat(self, message: str, *, with_gauges: bool = True) -> None:
        try:
            line = self.line() if with_gauges else self._line_without_gauges()
            if with_gauges and self._left_behind:
                return  # the goodbye has been said since
            self.recorder.record({**line, "message": message})
        except BaseException:  # noqa: BLE001 (whatever it is, the next heartbeat may do without, and it is logged)
            self._log_once("heartbeat.failed")

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
            number = None if figure is None else float(figure)
        except BaseException:  # noqa: BLE001 (the service's own function; the heartbeat must go on, and it is logged)
            self._log_once("gauge.failed", gauge=name)
            return None
        return number if number is not None and math.isfinite(number) else None  # JSON has no other numbers

    def _log_once(self, what: str, **about: str) -> None:
        key = " ".join([what, *about.values()])
        if key not in self._failed:
            self._failed.add(key)
            with suppress(Exception):  # a handler of the service's own may raise
                logging.getLogger("inferlog.heartbeat").error(what, exc_info=sys.exc_info()[1], extra=about)
