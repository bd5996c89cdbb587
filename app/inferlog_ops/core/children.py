"""Child processes of a command: output goes to a file, and they end when the command ends, even by kill -9."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

import orjson

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.wait import poll

_SECONDS_BETWEEN_POLLS = 0.05
_KILL_AFTER_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def end_with_parent() -> None:
    """
    Have the kernel send this process SIGTERM when its parent ends, even by kill -9.

    Runs in the new process before its program: ``preexec_fn``.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def build_module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs *module* with this Python."""
    # -P: a file in the working directory must not shadow one of our modules.
    return [sys.executable, "-P", "-m", module, *arguments]


class Child:
    """
    A child process.

    Args:
        name: Used in messages and for the name of the output file.
        command: Program and arguments.
        output: Directory of the output file, which receives stdout and stderr.
        environment: Variables added to the environment of this process.
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
                # INFERLOG_ settings of the user belong to the user's service, not to the processes of a command.
                env={name: value for name, value in os.environ.items() if not name.startswith("INFERLOG_")}
                | dict(environment or {}),
                # Ctrl-C reaches only the command, which then stops its processes in order.
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 (a plain system call: takes no lock)
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait_until(self, ready: Callable[[], bool], *, timeout_seconds: float) -> None:
        """
        Wait until *ready* returns True.

        Raises:
            OperatorError: If the process ends first (the message has its last output line), or the time is over.
        """
        for _ in poll(timeout_seconds=timeout_seconds, interval_seconds=_SECONDS_BETWEEN_POLLS):
            if ready():
                return
            self.check()
        raise OperatorError(
            f"the {self.name} was not ready after {timeout_seconds:.0f} s; its output: {self.output_file}"
        )

    def wait_for_url(self, ready_file: Path, *, timeout_seconds: float) -> str:
        """
        Wait for *ready_file* and return the URL in it.

        Raises:
            OperatorError: As `wait_until`.
        """
        self.wait_until(ready_file.is_file, timeout_seconds=timeout_seconds)
        return str(orjson.loads(ready_file.read_bytes())["url"])

    def check(self) -> None:
        """
        Check that the process is still running.

        Raises:
            OperatorError: If it has ended.
        """
        code = self._process.poll()
        if code is None:
            return
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with status {code}: {self._read_last_line()}"
        raise OperatorError(f"the {self.name} ended {how} (its output: {self.output_file})")

    def has_finished(self) -> bool:
        """
        Return whether the process has exited with status 0.

        Raises:
            OperatorError: If it has ended in any other way; the message has its last output line.
        """
        if self._process.poll() != 0:
            self.check()
        return self._process.returncode == 0

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL after a timeout."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_KILL_AFTER_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _read_last_line(self) -> str:
        lines = [line.strip() for line in self.output_file.read_text(errors="replace").splitlines() if line.strip()]
        if not lines:
            return "it printed nothing"
        if lines[-1].startswith("╰"):  # Typer prints a wrong option in a box
            box = takewhile(lambda line: line.startswith("│"), reversed(lines[:-1]))
            return " ".join(reversed([line.strip("│ ") for line in box]))[:300]
        return lines[-1][:300]
