"""Bodies of requests: good ones, and those that a service has to refuse."""

import json
from typing import Any, Final


def chat(model: str, prompt: str, **more: Any) -> bytes:
    """Return the body that asks *model* one question."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": prompt}], **more}).encode()


def malformed(model: str) -> tuple[bytes, ...]:
    """Return bodies that people's programs do send by mistake; each deserves an answer of 400 to 499."""
    good = chat(model, "Name three colours.")
    return (
        b"",
        good[:-1],
        b"\xff" + good,
        b'"Name three colours."',
        _changed(good, messages=[]),
        _changed(good, messages="Name three colours."),
        _changed(good, messages=[{"role": "narrator", "content": "Once upon a time"}]),
        _changed(good, model=None),
        _changed(good, model="no-such-model"),
        _changed(good, max_tokens=-1),
        _changed(good, max_tokens=10**9),
        _changed(good, temperature="warm"),
    )


def _changed(body: bytes, **changes: Any) -> bytes:
    return json.dumps(json.loads(body) | changes).encode()


LONG_STORY: Final = "Write a very long story about a lighthouse keeper. Do not stop before the story has ten chapters."
MANY_TOKENS: Final = 1024
"""As many as a service of ours lets a request ask for."""
