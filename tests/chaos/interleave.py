"""Interleaving of several faults in one thread: a child process ends with the thread that started it."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress

_SECONDS_BETWEEN_CHECKS = 0.2


def take_turns(injections: Sequence[Generator[float]], check: Callable[[], None]) -> None:
    """
    Run each step of *injections* when it is due, until all have ended.

    Args:
        injections: Each yields the seconds until its next step.
        check: Called regularly while no step is due; raises to end all.
    """
    due = dict.fromkeys(injections, time.monotonic())
    try:
        while due:
            inject = min(due, key=due.__getitem__)
            _wait_until(due[inject], check)
            try:
                due[inject] = time.monotonic() + next(inject)
            except StopIteration:
                del due[inject]
    except BaseException:
        for inject in injections:
            # Raise the original error, not a failed repair after it.
            with suppress(Exception):
                inject.close()
        raise


def _wait_until(moment: float, check: Callable[[], None]) -> None:
    while (left := moment - time.monotonic()) > 0:
        check()
        time.sleep(min(left, _SECONDS_BETWEEN_CHECKS))
