"""Chores on the log directory in a thread of their own: no request waits for a directory of 20 000 files."""

import threading
from collections.abc import Callable
from typing import Final

from inferlog.internal_errors import warn_once

LOOK_EVERY_SECONDS: Final = 0.5
"""Pause between two looks at the open files; half of the second in which a removed one has to be noticed."""

_STOP_AT_MOST_SECONDS: Final = 3.0


class Housekeeping:
    """
    Runs *chores* twice a second, from the first file on, in a daemon thread.

    Where the process gets no thread, the next file or full directory tries again.
    """

    def __init__(self) -> None:
        self.chores: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin, unless begun already."""
        if self._thread is not None:
            return
        self._stopped = threading.Event()
        self._thread = thread = threading.Thread(target=self._run, args=[self._stopped], name="inferlog-housekeeping")
        thread.daemon = True  # a service that ends without shutdown() must not wait for it
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # the machine's or the container's limit of threads is reached
            self._thread = None

    def stop(self) -> None:
        """End the thread and do what is due a last time: a short process would never get to it."""
        thread, self._thread = self._thread, None
        self._stopped.set()
        if thread is not None:
            thread.join(_STOP_AT_MOST_SECONDS)
            if thread.is_alive():
                return  # on a disk that hangs, as the caller would
        self._do_chores()

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(LOOK_EVERY_SECONDS):
            self._do_chores()

    def _do_chores(self) -> None:
        for chore in self.chores:
            try:
                chore()
            except Exception as error:  # noqa: BLE001 (the others must go on, and it is logged)
                warn_once(f"inferlog.housekeeping.failed: {error!r}")
