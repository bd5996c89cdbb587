"""The processes that are broken: as those of the demo, and with handles to break them by."""

import resource
import signal
from collections.abc import Iterable
from contextlib import suppress

import psutil

from inferlog_ops.core.children import Child

_WORKER = "multiprocessing.spawn"


class ChaosProcess(Child):
    """A process that may be killed, stopped, and refused room on the disk."""

    _killed = False

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._killed = True
        self._process.kill()
        self._process.wait()

    def check(self) -> None:
        """Do nothing while the process runs, or if it was killed on purpose."""
        if not self._killed:
            super().check()

    def suspend(self) -> None:
        """Have it stand still."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def workers(self) -> list[psutil.Process]:
        """Return the processes under it that answer requests, oldest first."""
        found = []
        for process in psutil.Process(self._process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if any(_WORKER in argument for argument in process.cmdline()):
                    found.append((process.create_time(), process.pid, process))
        return [process for _, _, process in sorted(found, key=lambda each: each[:2])]

    @property
    def pids(self) -> list[int]:
        """It and its workers."""
        return [self._process.pid, *(worker.pid for worker in self.workers())]


def limit_file_size(pids: Iterable[int], size_bytes: int | None) -> None:
    """
    Let the processes *pids* write no file beyond *size_bytes*, or any with None; works on open files, too.

    A write beyond fails as on a full disk, or is cut short.
    """
    for pid in pids:
        with suppress(ProcessLookupError):
            _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most if size_bytes is None else size_bytes, most))
