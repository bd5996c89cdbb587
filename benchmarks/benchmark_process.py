"""Execution of one benchmark as a separate process."""

import fcntl
import os
import re
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO

from benchmarks import ROOT
from benchmarks.machine import load
from inferlog_ops.core.children import end_with_parent
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress

GOAL_MISSED = 3
"""Exit code of a complete benchmark with a missed goal; the last line on stderr names it."""
_END_SECONDS = 60.0
_LAST_LINES = 20
_SETTINGS = ("ELASTICSEARCH_", "INFERLOG_")
_MISSING = re.compile(r"ModuleNotFoundError: No module named '([^']+)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    Output of one benchmark and the circumstances of its run.

    Attributes:
        name: Name of the benchmark.
        command: Command, to be typed in the checkout.
        seconds: Duration.
        load_before: Load average of the machine over one minute, before the run.
        load_after: Load average after the run.
        answer: Its standard output.
        failure: Reason for its failure, in one sentence.
        missed: Goals missed on this machine; None if all are met or none is set.
    """

    name: str
    command: str
    seconds: float
    load_before: float
    load_after: float
    answer: str
    failure: str | None = None
    missed: str | None = None


@contextmanager
def hold_lock(lock_file: Path) -> Iterator[None]:
    """
    Hold the lock of the benchmarks, because two runs would disturb each other.

    Raises:
        OperatorError: If another run holds it.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperatorError(
                "another scripts/bench runs on this machine, and both would disturb each other: wait for it, or stop it"
            ) from None
        yield


def run_benchmark(name: str, command: Sequence[str], report: ReportProgress) -> Finding:
    """Run *command* of the benchmark *name* to its end; terminate the process if this is interrupted."""
    load_before, began = load(), monotonic()
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Ignore settings of the user's shell about a cluster or a service.
            env={name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)},
            # Ctrl-C reaches only this process, which then terminates the child.
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 (a system call: no lock that a thread may hold)
        )
        assert process.stderr is not None
        with process.stderr as progress:
            try:
                last_lines = _follow(progress, name, report)
                status = process.wait()
            finally:
                _end(process)
        answer.seek(0)
        text = answer.read().decode()
    return Finding(
        name=name,
        command=" ".join([".venv/bin/python", *command[1:]]),
        seconds=round(monotonic() - began, 1),
        load_before=load_before,
        load_after=load(),
        answer=text,
        failure=_describe_failure(status, last_lines) if status not in {0, GOAL_MISSED} else None,
        missed=_get_last_line(last_lines) if status == GOAL_MISSED else None,
    )


def _follow(progress: IO[str], name: str, report: ReportProgress) -> list[str]:
    """Report each line of *progress*; return the last lines."""
    last: deque[str] = deque(maxlen=_LAST_LINES)
    for line in progress:
        if text := line.strip():
            last.append(text)
            report(f"{name}: {text}")
    return list(last)


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _describe_failure(exit_code: int, last_lines: list[str]) -> str:
    last_words = _get_last_line(last_lines)
    if missing := _MISSING.search(last_words):
        return (
            f"the module {missing[1]!r} is not installed: run scripts/test, which installs the development requirements"
        )
    return f"exit code {exit_code}: {last_words}"


def _get_last_line(last_lines: list[str]) -> str:
    return last_lines[-1] if last_lines else "no output"
