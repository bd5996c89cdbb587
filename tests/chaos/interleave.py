"""Lets several faults take turns in one thread: whoever starts a process must live as long as it."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress

_SECONDS_BETWEEN_CHECKS = 0.2


def take_turns(strikes: Sequence[Generator[float]], check: Callable[[], None]) -> None:
    """
    Carry out each step of *strikes* when it is due, until all of them have ended.

    Args:
        strikes: Each yields the seconds until its next step.
        check: Is called now and then while nothing is due; raises to end all.
    """
    due = dict.fromkeys(strikes, time.monotonic())
    try:
        while due:
            inject = min(due, key=due.__getitem__)
            _wait_until(due[inject], check)
            try:
                due[inject] = time.monotonic() + next(inject)
            except StopIteration:
                del due[inject]
    except BaseException:
        for inject in strikes:
            # What ended it all is to be told, not that something could not be mended after it.
            with suppress(Exception):
                inject.close()
        raise


def _wait_until(moment: float, check: Callable[[], None]) -> None:
    while (left := moment - time.monotonic()) > 0:
        check()
        time.sleep(min(left, _SECONDS_BETWEEN_CHECKS))
