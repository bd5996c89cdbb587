"""Request bodies: valid ones from a file of prompts, and malformed ones that a service must reject."""

import json
from pathlib import Path
from typing import Any, Final


def build_chat(model: str, prompt: str, **more: Any) -> bytes:
    """Return the body of a request with one prompt."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": prompt}], **more}).encode()


def build_malformed(model: str) -> tuple[bytes, ...]:
    """Return malformed bodies that real clients send by mistake; a service must reject each with 400 to 499."""
    good = build_chat(model, "Name three colours.")
    return (
        b"",
        good[:-1],
        b"\xff" + good,
        b'"Name three colours."',
        _change(good, messages=[]),
        _change(good, messages="Name three colours."),
        _change(good, messages=[{"role": "narrator", "content": "Once upon a time"}]),
        _change(good, model=None),
        _change(good, model="no-such-model"),
        _change(good, max_tokens=-1),
        _change(good, max_tokens=10**9),
        _change(good, temperature="warm"),
    )


def _change(body: bytes, **changes: Any) -> bytes:
    return json.dumps(json.loads(body) | changes).encode()


LONG_STORY: Final = "Write a very long story about a lighthouse keeper. Do not stop before the story has ten chapters."
MANY_TOKENS: Final = 1024
"""The example service's default limit of max_tokens."""


DEFAULT_FILE: Final = Path(__file__).resolve().parent.parent / "prompts.txt"
_MAX_BYTES: Final = 1024 * 1024  # a device is endless


def read_prompts(path: Path) -> tuple[str, ...]:
    """
    Return the prompts in *path*, one per line, without empty lines and lines that begin with ``#``.

    Raises:
        ValueError: If the file cannot be read, is too large, or contains no prompts.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError(f"{path} is larger than {_MAX_BYTES // 1024**2} MiB; expected prompts, one per line")
        lines = content.decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as prompts: {error}") from error
    prompts = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not prompts:
        raise ValueError(f"{path} contains no prompts; expected one per line")
    return prompts
