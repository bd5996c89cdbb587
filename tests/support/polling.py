"""Waiting for something to become true, with a deadline. Never a bare sleep."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

Seen = TypeVar("Seen")

_SECONDS_BETWEEN_LOOKS = 0.05


def wait_until(condition: Callable[[], Seen], timeout_seconds: float = 60.0, what: str = "the condition") -> Seen:
    """
    Return the first true value of *condition*.

    Raises:
        AssertionError: After *timeout_seconds*, saying *what* was waited for and the last value seen.
    """
    deadline = monotonic() + timeout_seconds
    while not (seen := condition()):
        if monotonic() >= deadline:
            raise AssertionError(f"waited {timeout_seconds} s for {what}; last seen: {seen!r}")
        sleep(_SECONDS_BETWEEN_LOOKS)
    return seen
