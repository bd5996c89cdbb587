"""Waits with a deadline: for a server that starts, a process that ends, events in transit."""

import time
from collections.abc import Callable, Iterator

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress

_SECONDS_BETWEEN_POLLS = 0.3
_FIRST_LINE_AFTER_SECONDS = 2.0
_SECONDS_BETWEEN_LINES = 5.0


class NotInTimeError(OperatorError):
    """A condition was still unmet at its deadline."""


def poll(*, timeout_seconds: float, interval_seconds: float) -> Iterator[float]:
    """
    Yield the elapsed seconds, at once and after each pause, until the time is over.

    The loop leaves by ``return`` or ``break`` when its condition is met; the code after it handles the timeout.
    """
    began = time.monotonic()
    while True:
        yield time.monotonic() - began
        if time.monotonic() - began >= timeout_seconds:
            return
        time.sleep(interval_seconds)


def wait_while(
    what_is_missing: Callable[[], str | None],
    who: str,
    *,
    timeout_seconds: float,
    on_progress: ReportProgress,
    advice: str,
) -> None:
    """
    Return when *what_is_missing* returns None; report every few seconds that *who* is not ready yet.

    Raises:
        NotInTimeError: If something is missing after *timeout_seconds*; the message ends with *advice*.
    """
    next_line = _FIRST_LINE_AFTER_SECONDS
    missing: str | None = None
    for elapsed_seconds in poll(timeout_seconds=timeout_seconds, interval_seconds=_SECONDS_BETWEEN_POLLS):
        missing = what_is_missing()
        if not missing:
            return
        if elapsed_seconds >= next_line:
            on_progress(f"waiting for {who}: {missing}")
            next_line = elapsed_seconds + _SECONDS_BETWEEN_LINES
    raise NotInTimeError(f"{who} was not ready after {timeout_seconds:.0f} s: {missing}; {advice}")
