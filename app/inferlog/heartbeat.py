"""
Heartbeats: periodic health lines of a process, with its load, its counts and the service's gauges.

Their counts also reveal a loss of the last events of an instance. Worker processes that do not run ``atexit``, those
of multiprocessing and Celery, get an exit handler. Their libraries are looked up in ``sys.modules``, never imported.
"""

import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

from inferlog.losses import Stats
from inferlog.recorder import Clock, LineRecorder
from inferlog.sinks.shipped import read_shipped_bytes
from inferlog.vitals import Activity, Vitals

Gauge = Callable[[], float | None]

MESSAGE: Final = "service_heartbeat"
STOPPED: Final = "service_stopped"
"""Message of a process's last heartbeat: it ends in order, and missing heartbeats afterwards are not an alarm."""

_LAG_AT_MOST_SECONDS = 1.0
_STOP_AT_MOST_SECONDS = 3.0
# Runs after the finalizers of queues and of the service, which may still record events.
_EXIT_PRIORITY: Final = -1_000
_gauges: dict[str, Gauge] = {}


def add_gauge(name: str, read: Gauge) -> None:
    """
    Add a metric of the service to each heartbeat as ``gauges.<name>``, such as ``queue_requests``.

    *read* is called from another thread every few seconds; None omits the gauge. An exception is logged once. While it
    blocks, no heartbeat is written, and process exit waits for it for up to 3 seconds.

    Raises:
        TypeError: If *name* is not text.
        ValueError: If *name* is not a valid field name, or another gauge's name makes it an object, such as ``queue``
            and ``queue.requests``: the index would reject every heartbeat.
    """
    if not isinstance(name, str):
        raise TypeError(f"a gauge's name is {name!r:.80}; expected text such as 'queue_requests'")
    if not all(part.strip() for part in name.split(".")) or not name.isprintable():
        raise ValueError(f"a gauge's name is {name!r:.80}; expected a field name such as 'queue_requests'")
    for other in _gauges:
        if other.startswith(f"{name}.") or name.startswith(f"{other}."):
            raise ValueError(f"gauges {name!r:.80} and {other!r:.80}: one is an object in the other; rename one")
    _gauges[name] = read


class Heartbeat:
    """
    Writes a line every *every_seconds* from its own thread, and a last one at process exit.

    The thread starts with the first event: an idle process writes nothing.
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
        self._started = Clock().read()[1]
        self._log_dir = log_dir
        self._instance_id = instance_id
        self._every_seconds = every_seconds
        self._vitals = Vitals()
        self.is_started = every_seconds <= 0
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._failed: set[str] = set()
        self._left_behind = False

    def start(self) -> None:
        """Start the thread, unless started or disabled with 0 seconds. If that fails, the next event retries."""
        if self.is_started or sys.is_finalizing():  # no thread runs then, and its start() would wait forever
            return
        self.is_started = True
        # A daemon: a service that exits without shutdown() must not wait for it.
        thread = threading.Thread(
            target=self._beat_until, args=(self._stopped,), name="inferlog-heartbeat", daemon=True
        )
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # thread limit of the machine or container
            self.is_started = False
            self._log_once("heartbeat.not_started")
            return
        self._thread = thread

    def stop(self) -> None:
        """Write the last line and end the thread, if it was started. Waits at most 3 seconds."""
        if self._thread is None or self._stopped.is_set():
            return
        self._stopped.set()
        self._thread.join(_STOP_AT_MOST_SECONDS)
        if self._thread.is_alive():  # a gauge blocks: the last line is written without gauges
            self._left_behind = True
            self._log_once("heartbeat.blocked")
            self._beat(STOPPED, with_gauges=False)

    def pause(self) -> None:
        """Write the last line like :meth:`stop`, but restart with the next event, because the process may continue."""
        self.stop()
        if not self._left_behind:
            self._thread, self._stopped = None, threading.Event()
            self.is_started = self._every_seconds <= 0

    def retire(self) -> None:
        """Write the last line like :meth:`stop`, and never start again."""
        self.is_started = True
        self.stop()
        self._stopped.set()  # ends a thread that another one is starting

    def build_line(self) -> dict[str, Any]:
        """Return the document of a heartbeat taken now."""
        line = self._build_line_without_gauges()
        gauges = {
            name: figure for name, read in list(_gauges.items()) if (figure := self._read(name, read)) is not None
        }
        if gauges:
            line["gauges"] = gauges
        return line

    def _build_line_without_gauges(self) -> dict[str, Any]:
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
            "events_unshipped_bytes": self._count_unshipped_bytes(),
            "process": self._vitals.read_process(),
            "active_requests": self.activity.open_requests,
        }
        lag = self.activity.measure_loop_lag_seconds(at_most_seconds=_LAG_AT_MOST_SECONDS)
        if lag is not None:
            line["event_loop"] = {"lag_seconds": round(lag, 6)}
        gpu = self._vitals.read_gpu()
        if gpu is not None:
            line["gpu"] = gpu
        return line

    def _beat_until(self, stopped: threading.Event) -> None:
        while not stopped.wait(min(self._every_seconds, threading.TIMEOUT_MAX)):
            self._beat(MESSAGE)
        # An ending loop may be waiting for this thread, so its lag is not measured.
        self.activity.serve_nowhere()
        self._beat(STOPPED)

    def _beat(self, message: str, *, with_gauges: bool = True) -> None:
        try:
            line = self.build_line() if with_gauges else self._build_line_without_gauges()
            if with_gauges and self._left_behind:
                return  # stop() has written the last line since
            self.recorder.record({**line, "message": message})
        except BaseException:  # noqa: BLE001 (logged, and the next heartbeat may succeed)
            self._log_once("heartbeat.failed")

    def _count_unshipped_bytes(self) -> int:
        shipped = read_shipped_bytes(self._log_dir)
        unshipped = 0
        for path in self._log_dir.glob(f"*-{self._instance_id}-*.jsonl"):
            try:
                unshipped += max(0, path.stat().st_size - shipped.get(path.name, 0))
            except OSError:
                continue  # deleted meanwhile, after it was shipped
        return unshipped

    def _read(self, name: str, read: Gauge) -> float | None:
        try:
            figure = read()
            number = None if figure is None else float(figure)
        except BaseException:  # noqa: BLE001 (a user callback; it is logged, and the heartbeat continues)
            self._log_once("gauge.failed", gauge=name)
            return None
        return number if number is not None and math.isfinite(number) else None  # JSON has only finite numbers

    def _log_once(self, what: str, **about: str) -> None:
        key = " ".join([what, *about.values()])
        if key not in self._failed:
            self._failed.add(key)
            with suppress(Exception):  # a logging handler of the service may raise
                logging.getLogger("inferlog.heartbeat").error(what, exc_info=sys.exc_info()[1], extra=about)


class _WorkerExit:
    """Closes the library at process exit; a signal that arrives meanwhile takes effect afterwards."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._process_id = os.getpid()  # a forked process registers its own exit handler
        self._close = close
        self._in_progress = False
        self._signal: int | None = None

    def run(self) -> None:
        if self._in_progress or self._process_id != os.getpid():
            return
        self._in_progress = True
        try:
            self._close()
        finally:
            self._in_progress = False
        if self._signal is not None:
            _end_by_signal(self._signal)

    def run_by_signal(self, number: int) -> None:
        self._signal = number
        if self._in_progress and self._process_id == os.getpid():
            return  # run(), further up on this stack, ends the process afterwards
        self.run()
        _end_by_signal(number)


_worker_exit: _WorkerExit | None = None


def close_at_worker_exit(close: Callable[[], None]) -> None:
    """
    Run *close* at the orderly exit of this process, if it is a worker that does not run ``atexit``.

    A worker of multiprocessing or ``ProcessPoolExecutor`` exits by returning, or by the SIGTERM of ``terminate()``,
    as at the end of ``with Pool()``. The signal ends it after *close*, unless the service handles the signal.
    """
    global _worker_exit  # noqa: PLW0603 (a process exits once)
    _worker_exit = _WorkerExit(close)
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        sys.modules["multiprocessing.util"].Finalize(None, _end, exitpriority=_EXIT_PRIORITY)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            with suppress(ValueError):  # possible in the main thread only; otherwise SIGTERM ends without close
                signal.signal(signal.SIGTERM, _handle_sigterm)
    celery_signals = sys.modules.get("celery.signals")
    if celery_signals is not None:
        celery_signals.worker_process_shutdown.connect(_end, dispatch_uid="inferlog")


def _end(**_: Any) -> None:
    if _worker_exit is not None:
        _worker_exit.run()


def _handle_sigterm(number: int, _: FrameType | None) -> None:
    if _worker_exit is not None:
        _worker_exit.run_by_signal(number)


def _end_by_signal(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
