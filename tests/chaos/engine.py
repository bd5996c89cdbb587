"""An Elasticsearch that may be killed, and comes back on the same port with the same data."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say
from inferlog_ops.engine import control


class Engine:
    """
    The embedded engine of one home.

    Args:
        home: Its directory.
        say: Is told what is being waited for.
    """

    def __init__(self, home: Path, say: Say) -> None:
        self._home = home
        self._say = say
        self._port = 0
        self._pid: int | None = None
        self.url = ""

    def start(self) -> None:
        """Start it and return when it answers; the second time on the port of the first."""
        running = control.start(self._home, self._port, self._say, ends_with_us=True)
        self.url, self._pid = running.url, running.pid
        self._port = int(running.url.rpartition(":")[2])

    def kill(self) -> None:
        """End it by SIGKILL."""
        pid = self._running_pid()
        os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
        self._pid = None

    def revive(self) -> None:
        """Have it run, in whatever state a fault that was interrupted has left it."""
        if control.running_url(self._home) is None:
            self.start()

    def suspend(self) -> None:
        """Have it stand still."""
        os.kill(self._running_pid(), signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self._running_pid(), signal.SIGCONT)

    def stop(self) -> None:
        """End it in order, also if it was stopped in the midst of something."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                self.resume()
            control.stop(self._home)
            self._pid = None

    def _running_pid(self) -> int:
        """
        Return its process id.

        Raises:
            OperatorError: If it does not run.
        """
        # A signal to "process 0" would go to every process of this group, this one among them.
        if self._pid is None:
            raise OperatorError(f"{self._home}: Elasticsearch does not run, so it cannot be broken")
        return self._pid
