"""Tells a person what a command is waiting for."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.text import Text

from inferlog_ops.console import err

Say = Callable[[str], None]
"""Takes one line about what is being done or waited for."""


def say_nothing(_text: str) -> None:
    """Be the ``Say`` of a caller that does not want to know."""


@contextmanager
def shown_progress() -> Generator[Say]:
    """Give a function that shows its line on stderr: in place on a terminal, one below the other elsewhere."""
    if not err.is_terminal:
        yield lambda text: err.print(Text(text))
        return
    with err.status("") as line:
        yield lambda text: line.update(Text(text))
