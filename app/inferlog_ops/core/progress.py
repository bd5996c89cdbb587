"""Tells a person what a command is waiting for."""

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic

from rich.text import Text

from inferlog_ops.core.console import err

Say = Callable[[str], None]
"""Takes one line about what is being done or waited for."""

_SECONDS_BETWEEN_LINES = 5.0
_QUIET_SECONDS = 2.0


def say_nothing(_text: str) -> None:
    """Be the ``Say`` of a caller that does not want to know."""


def after_a_while(say: Say) -> Say:
    """Return a *say* that says nothing of what is done before anybody waits for it."""
    began = monotonic()
    return lambda text: say(text) if monotonic() - began >= _QUIET_SECONDS else None


@contextmanager
def shown_progress() -> Generator[Say]:
    """Give a function that shows its line on stderr: in place on a terminal, one below the other elsewhere."""
    if not err.is_terminal:
        yield _now_and_then(lambda text: err.print(Text(text)))
        return
    with err.status("") as line:
        yield lambda text: line.update(Text(text))


def _now_and_then(show: Say) -> Say:
    """Let through what is new; of lines that differ in their figures only, one every few seconds."""
    last_words, last_shown = "", 0.0

    def say(text: str) -> None:
        nonlocal last_words, last_shown
        words = re.sub(r"[0-9]+", "", text)
        if words != last_words or monotonic() - last_shown >= _SECONDS_BETWEEN_LINES:
            last_words, last_shown = words, monotonic()
            show(text)

    return say
