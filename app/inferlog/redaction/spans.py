"""Spans of a text to redact: returned by finders, replaced in one place."""

import re
from collections.abc import Iterable
from typing import Final

REDACTED: Final = "[REDACTED]"

Span = tuple[int, int]
"""Start and end of a secret, in characters."""


_SPACES: Final = re.compile("[\xa0\u2007\u202f\u3000]")  # no-break and ideographic ones


def lower(text: str) -> str:
    """Return *text* in lower case and with plain spaces, each character at its position; ``İ`` would become two."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    return _SPACES.sub(" ", lowered if len(lowered) == len(text) else text.replace("İ", "i").lower())


def replace_spans(text: str, spans: Iterable[Span]) -> str:
    """Return *text* with ``[REDACTED]`` for each of *spans*; overlapping or adjacent spans are merged."""
    kept: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start > done or not kept:
            kept += (text[done:start], REDACTED)
        done = max(done, end)
    return "".join(kept) + text[done:]
