"""Spans of a text to redact: returned by finders, replaced in one place."""

from collections.abc import Iterable
from typing import Final

REDACTED: Final = "[REDACTED]"

Span = tuple[int, int]
"""Start and end of a secret, in characters."""


def lower(text: str) -> str:
    """Return *text* in lower case with unchanged character positions; ``İ`` would otherwise become two characters."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text.replace("İ", "i").lower()


def replace_spans(text: str, spans: Iterable[Span]) -> str:
    """Return *text* with ``[REDACTED]`` for each of *spans*; overlapping or adjacent spans are merged."""
    kept: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start > done or not kept:
            kept += (text[done:start], REDACTED)
        done = max(done, end)
    return "".join(kept) + text[done:]
