"""Waits for what takes its time: a server that starts, events that are on their way."""

import time
from collections.abc import Callable

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say

_SECONDS_BETWEEN_LOOKS = 0.3
_FIRST_LINE_AFTER_SECONDS = 2.0
_SECONDS_BETWEEN_LINES = 5.0


class NotInTimeError(OperatorError):
    """Something was still missing at the end of the time."""


def wait_while(
    what_is_missing: Callable[[], str | None], who: str, *, timeout_seconds: float, on_progress: Say, advice: str
) -> None:
    """
    Return once *what_is_missing* returns None; say each few seconds what *who* is waited for.

    Raises:
        NotInTimeError: If something is missing after *timeout_seconds*; ends with *advice*.
    """
    deadline = time.monotonic() + timeout_seconds
    next_line = time.monotonic() + _FIRST_LINE_AFTER_SECONDS
    while missing := what_is_missing():
        now = time.monotonic()
        if now >= deadline:
            raise NotInTimeError(f"{who} was not ready after {timeout_seconds:.0f} s: {missing}; {advice}")
        if now >= next_line:
            on_progress(f"waiting for {who}: {missing}")
            next_line = now + _SECONDS_BETWEEN_LINES
        time.sleep(_SECONDS_BETWEEN_LOOKS)
