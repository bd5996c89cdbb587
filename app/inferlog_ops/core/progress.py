"""Progress lines on stderr while a command works or waits."""

import re
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from time import monotonic

from rich.status import Status
from rich.text import Text

from inferlog_ops.core.console import err

ReportProgress = Callable[[str], None]
"""Receives one line about the current step or wait."""

_SECONDS_BETWEEN_LINES = 5.0
_QUIET_SECONDS = 2.0


def ignore_progress(_text: str) -> None:
    """Discard a progress line."""


def delay_progress(report: ReportProgress) -> ReportProgress:
    """Return *report* without its lines of the first two seconds."""
    began = monotonic()
    return lambda text: report(text) if monotonic() - began >= _QUIET_SECONDS else None


@contextmanager
def show_progress() -> Generator[ReportProgress]:
    """Yield a function that prints a line on stderr: replaced in place on a terminal, appended elsewhere."""
    if not err.is_terminal:
        yield _throttle(lambda text: err.print(Text(text)))
        return
    with ExitStack() as open_lines:
        line: Status | None = None

        def report(text: str) -> None:
            nonlocal line
            if line is None:  # a command that reports nothing changes nothing on the terminal
                line = open_lines.enter_context(err.status(Text(text)))
            else:
                line.update(Text(text))

        yield report


def _throttle(show: ReportProgress) -> ReportProgress:
    """Pass new lines on; of lines that differ only in numbers, one every few seconds."""
    last_words, last_shown = "", 0.0

    def report(text: str) -> None:
        nonlocal last_words, last_shown
        words = re.sub(r"[0-9]+", "", text)
        if words != last_words or monotonic() - last_shown >= _SECONDS_BETWEEN_LINES:
            last_words, last_shown = words, monotonic()
            show(text)

    return report
