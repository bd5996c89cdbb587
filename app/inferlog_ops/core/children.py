"""Processes that a command starts: each with its output in a file, ended with the command whatever ends that."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from time import monotonic, sleep

import orjson

from inferlog_ops.core.errors import OperatorError

_SECONDS_BETWEEN_LOOKS = 0.05
_KILL_AFTER_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def end_with_parent() -> None:
    """
    Have the kernel end this process, by SIGTERM, when its parent is gone, also by kill -9: nothing stays behind.

    For a new process before it runs its program: ``preexec_fn``.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs *module* with this Python."""
    # -P: a file of the user's in the working directory must not stand in for one of our modules.
    return [sys.executable, "-P", "-m", module, *arguments]


class Child:
    """
    A process of a command.

    Args:
        name: For messages and for the file of its output.
        command: Program and arguments.
        output: Directory for what it prints.
        environment: Set for it besides this process's own.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, output: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.output_file = output / f"{name}.log"
        with self.output_file.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The user's own settings of the library are for the user's service, not for what commands start.
                env={name: value for name, value in os.environ.items() if not name.startswith("INFERLOG_")}
                | dict(environment or {}),
                # Ctrl-C goes to the command alone, which then ends its processes in order.
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 (a system call: no lock that a thread may hold)
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self._process.poll() is not None

    def wait_until(self, ready: Callable[[], bool], *, timeout_seconds: float) -> None:
        """
        Return when *ready* does.

        Raises:
            OperatorError: If the process ends before, with its last words; or not ready in time.
        """
        deadline = monotonic() + timeout_seconds
        while not ready():
            self.check()
            if monotonic() > deadline:
                raise OperatorError(
                    f"the {self.name} was not ready after {timeout_seconds:.0f} s; its output: {self.output_file}"
                )
            sleep(_SECONDS_BETWEEN_LOOKS)

    def url_in(self, ready_file: Path, *, timeout_seconds: float) -> str:
        """
        Return where the process answers, as soon as it says so in *ready_file*.

        Raises:
            OperatorError: As of `wait_until`.
        """
        self.wait_until(ready_file.is_file, timeout_seconds=timeout_seconds)
        return str(orjson.loads(ready_file.read_bytes())["url"])

    def check(self) -> None:
        """
        Do nothing while the process runs.

        Raises:
            OperatorError: If it has ended.
        """
        code = self._process.poll()
        if code is None:
            return
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with status {code}: {self._last_words()}"
        raise OperatorError(f"the {self.name} ended {how} (all it said: {self.output_file})")

    def has_finished(self) -> bool:
        """
        Say whether the process has done its work.

        Raises:
            OperatorError: If it has ended in any other way, with its last words.
        """
        if self._process.poll() != 0:
            self.check()
        return self._process.returncode == 0

    def stop(self) -> None:
        """End the process: SIGTERM, and if that does not help, SIGKILL."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_KILL_AFTER_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _last_words(self) -> str:
        lines = [line.strip() for line in self.output_file.read_text(errors="replace").splitlines() if line.strip()]
        if not lines:
            return "it said nothing"
        if lines[-1].startswith("╰"):  # a wrong option is told in a box
            box = takewhile(lambda line: line.startswith("│"), reversed(lines[:-1]))
            return " ".join(reversed([line.strip("│ ") for line in box]))[:300]
        return lines[-1][:300]
