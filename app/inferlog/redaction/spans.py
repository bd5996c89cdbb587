"""Parts of a text that must go. Finders return them, one place takes them out."""

from collections.abc import Iterable
from typing import Final

REDACTED: Final = "[REDACTED]"

Span = tuple[int, int]
"""Where a secret begins and where it has ended, in characters."""


def lower(text: str) -> str:
    """Return *text* in lower case with every character where it was; ``İ`` alone would become two."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text.replace("İ", "i").lower()


def without(text: str, spans: Iterable[Span]) -> str:
    """Return *text* with ``[REDACTED]`` for each of *spans*; those that overlap or touch are one."""
    kept: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start > done or not kept:
            kept += (text[done:start], REDACTED)
        done = max(done, end)
    return "".join(kept) + text[done:]
