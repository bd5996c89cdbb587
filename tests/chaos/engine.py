"""Elasticsearch that faults may kill: it restarts on the same port with the same data."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.engine import control


class Engine:
    """
    Embedded engine of one home.

    Args:
        home: Its directory.
        report: Receives progress messages.
    """

    def __init__(self, home: Path, report: ReportProgress) -> None:
        self._home = home
        self._report = report
        self._port = 0
        self._pid: int | None = None
        self.url = ""

    def start(self) -> None:
        """Start the engine and return when it answers; a restart uses the same port."""
        running = control.start(self._home, self._port, self._report, ends_with_us=True)
        self.url, self._pid = running.url, running.pid
        self._port = int(running.url.rpartition(":")[2])

    def kill(self) -> None:
        """Send SIGKILL and reap the process."""
        pid = self._get_running_pid()
        os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
        self._pid = None

    def revive(self) -> None:
        """Start the engine if an interrupted fault has left it stopped."""
        if control.find_running_url(self._home) is None:
            self.start()

    def suspend(self) -> None:
        """Send SIGSTOP."""
        os.kill(self._get_running_pid(), signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT."""
        os.kill(self._get_running_pid(), signal.SIGCONT)

    def stop(self) -> None:
        """Stop the engine in an orderly way, even if it is suspended."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                self.resume()
            control.stop(self._home)
            self._pid = None

    def _get_running_pid(self) -> int:
        """
        Return the engine's process id.

        Raises:
            OperatorError: If the engine does not run.
        """
        # A signal to "process 0" would reach every process of this group, including this one.
        if self._pid is None:
            raise OperatorError(f"{self._home}: Elasticsearch does not run: no signal can be sent")
        return self._pid
