"""Polling for a condition, with a deadline."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Literal, TypeVar

Seen = TypeVar("Seen")

_SECONDS_BETWEEN_POLLS = 0.05


def wait_until(
    condition: Callable[[], Seen | Literal[False, ""] | None],
    timeout_seconds: float = 60.0,
    what: str = "the condition",
) -> Seen:
    """
    Return the first true value of *condition*.

    Raises:
        AssertionError: After *timeout_seconds*, with *what* and the last value in the message.
    """
    deadline = monotonic() + timeout_seconds
    while not (seen := condition()):
        if monotonic() >= deadline:
            raise AssertionError(f"waited {timeout_seconds} s for {what}; last seen: {seen!r}")
        sleep(_SECONDS_BETWEEN_POLLS)
    return seen
