"""Runs one benchmark as a process of its own."""

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
from inferlog_ops.core.progress import Say

GOAL_MISSED = 3
"""With this a benchmark ends that has done its work, and by it the project misses a goal; its last words say which."""
_END_SECONDS = 60.0
_LAST_LINES = 20
_SETTINGS = ("ELASTICSEARCH_", "INFERLOG_")
_MISSING = re.compile(r"ModuleNotFoundError: No module named '([^']+)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What one benchmark answered, and what else went on meanwhile.

    Attributes:
        name: The benchmark's.
        command: What was run, as a person would type it in the checkout.
        seconds: How long it took.
        load_before: Of the machine, averaged over a minute.
        load_after: The same at its end.
        answer: What it printed.
        failure: Why it ended with a fault, in one sentence.
        missed: Which goals are not met on this machine, in its own words; None if all are, or none is set.
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
def alone(lock_file: Path) -> Iterator[None]:
    """
    Keep a second run away: each would measure the other.

    Raises:
        OperatorError: If there is one.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperatorError(
                "another scripts/bench runs on this machine, and each would measure the other: wait for it, or end it"
            ) from None
        yield


def run(name: str, command: Sequence[str], say: Say) -> Finding:
    """Run the benchmark *name* by *command* to its end and return its finding; if this is interrupted, end it first."""
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
            # What the user's shell says about a cluster or a service is not meant.
            env={name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)},
            # Ctrl-C goes to this process alone, which then ends the other in order.
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 (a system call: no lock that a thread may hold)
        )
        assert process.stderr is not None
        with process.stderr as progress:
            try:
                last_lines = _followed(progress, name, say)
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
        failure=_why(status, last_lines) if status not in {0, GOAL_MISSED} else None,
        missed=_last_words(last_lines) if status == GOAL_MISSED else None,
    )


def _followed(progress: IO[str], name: str, say: Say) -> list[str]:
    """Say each line of *progress* to its end; return the last of them."""
    last: deque[str] = deque(maxlen=_LAST_LINES)
    for line in progress:
        if text := line.strip():
            last.append(text)
            say(f"{name}: {text}")
    return list(last)


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _why(exit_code: int, last_lines: list[str]) -> str:
    last_words = _last_words(last_lines)
    if missing := _MISSING.search(last_words):
        return (
            f"it needs the package that brings {missing[1]!r}; set up what the tests and benchmarks need: scripts/test"
        )
    return f"it ended with status {exit_code}: {last_words}"


def _last_words(last_lines: list[str]) -> str:
    return last_lines[-1] if last_lines else "it said nothing"
