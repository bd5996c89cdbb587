"""How long to wait before the next try."""

import random


def delay_seconds(tries: int, *, first_seconds: float, longest_seconds: float, share: float | None = None) -> float:
    """
    Return the wait after *tries* failures in a row: doubled each time, never above *longest_seconds*.

    Args:
        tries: 1 or more.
        first_seconds: The longest wait after the first failure.
        longest_seconds: Where the doubling ends.
        share: Part of the wait that is left to chance, from 0 to 1, so that many shippers do not come back at the
            same moment; drawn at random if absent.
    """
    # 2 to the power of a day's failures would be no float any more.
    full = min(longest_seconds, first_seconds * 2.0 ** min(tries - 1, 60))
    return full * (0.5 + 0.5 * (random.random() if share is None else share))  # noqa: S311 (no secret)
