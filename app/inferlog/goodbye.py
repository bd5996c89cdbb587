"""
The orderly end of worker processes that do not run ``atexit``: those of multiprocessing and of Celery.

Their libraries are looked for, never imported: a service that does not use them does not pay for them.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Final

# After the finalizers of queues and of the service itself, which may still record events.
_PRIORITY: Final = -1_000


class _Ending:
    """Closes the library at the end of this process; a signal that arrives meanwhile takes effect afterwards."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._process_id = os.getpid()  # a process forked from this one has to arrange its own end
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
            _die_of(self._signal)

    def run_by_signal(self, number: int) -> None:
        self._signal = number
        if self._in_progress and self._process_id == os.getpid():
            return  # run(), further up on this stack, ends the process when it is done
        self.run()
        _die_of(number)


_ending: _Ending | None = None


def close_at_the_end_of_a_worker(close: Callable[[], None]) -> None:
    """
    Run *close* when this process ends in order, if it is a worker that does not run ``atexit``.

    A worker of multiprocessing or ``ProcessPoolExecutor`` ends by returning, or by the SIGTERM of ``terminate()``,
    as at the end of ``with Pool()``. The signal ends it after *close*, unless the service handles it itself.
    """
    global _ending  # noqa: PLW0603 (a process has one end)
    _ending = _Ending(close)
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        sys.modules["multiprocessing.util"].Finalize(None, _end, exitpriority=_PRIORITY)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            with suppress(ValueError):  # only the main thread may: a worker that infers in another one is killed
                signal.signal(signal.SIGTERM, _terminate)
    celery_signals = sys.modules.get("celery.signals")
    if celery_signals is not None:
        celery_signals.worker_process_shutdown.connect(_end, dispatch_uid="inferlog")


def _end(**_: Any) -> None:
    if _ending is not None:
        _ending.run()


def _terminate(number: int, _: FrameType | None) -> None:
    if _ending is not None:
        _ending.run_by_signal(number)


def _die_of(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
