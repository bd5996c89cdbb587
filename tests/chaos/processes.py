"""Child processes with methods to kill, suspend and limit them."""

import resource
import signal
from collections.abc import Iterable
from contextlib import suppress

import psutil

from inferlog_ops.core.children import Child

_WORKER = "multiprocessing.spawn"


class ChaosProcess(Child):
    """Child process that faults may kill, suspend, or limit."""

    _killed = False

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self._killed = True
        self._process.kill()
        self._process.wait()

    def check(self) -> None:
        """Raise OperatorError if the process has ended, unless it was killed on purpose."""
        if not self._killed:
            super().check()

    def suspend(self) -> None:
        """Send SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def list_workers(self) -> list[psutil.Process]:
        """Return its worker processes, oldest first."""
        found = []
        for process in psutil.Process(self._process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if any(_WORKER in argument for argument in process.cmdline()):
                    found.append((process.create_time(), process.pid, process))
        return [process for _, _, process in sorted(found, key=lambda each: each[:2])]

    @property
    def pids(self) -> list[int]:
        """Process ids of the process and its workers."""
        return [self._process.pid, *(worker.pid for worker in self.list_workers())]


def limit_file_size(pids: Iterable[int], size_bytes: int | None) -> None:
    """
    Limit the file size of the processes *pids* to *size_bytes*, including open files; None removes the limit.

    A write beyond the limit fails as on a full disk, or is cut short.
    """
    for pid in pids:
        with suppress(ProcessLookupError):
            _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most if size_bytes is None else size_bytes, most))
