"""Lines that no store accepts, in a separate log file."""

import itertools
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson

from tests.chaos.faults.fault import Injection
from tests.chaos.stack import Stack

BAD_FILES: Final = "events-chaos_bad"
"""Prefix of the names of these files."""

_SECONDS_BETWEEN_LINES = 0.5
_LINES_AT_ONCE = 5
_MALFORMED: Final = (
    b'{"event":{"id":"half of a li',
    b"plain text",
    b"[1,2,3]",
    b'{"event":{"id":7}}',
    b'{"message":"no id"}',
    b"\xff\xfe\x00",
    b'"text"',
    b"null",
)
_REFUSED: Final[tuple[dict[str, Any], ...]] = (
    {"latency_seconds": "soon"},
    {"@timestamp": "yesterday"},
    {"gen_ai": 3},
    {"http": {"response": "none"}},
)


def make_malformed(count: int) -> Iterable[bytes]:
    """Return *count* lines that are not documents or have no id."""
    return itertools.islice(itertools.cycle(_MALFORMED), count)


def make_refused(count: int) -> Iterable[bytes]:
    """Return *count* documents that the mapping rejects."""
    for wrong in itertools.islice(itertools.cycle(_REFUSED), count):
        event = {"id": f"chaos-bad-{uuid4().hex}"}
        yield orjson.dumps({"@timestamp": "2026-01-01T00:00:00.000000Z", "event": event, **wrong})


def write_lines(make_lines: Callable[[int], Iterable[bytes]]) -> Injection:
    """Return an injection that appends such lines to a separate file, ten a second."""

    def inject(stack: Stack, seconds: float) -> Generator[float]:
        path = stack.dirs.logs / f"{BAD_FILES}-{uuid4().hex}-0001.jsonl"
        for _ in range(max(1, int(seconds / _SECONDS_BETWEEN_LINES))):
            _append(path, make_lines(_LINES_AT_ONCE))
            yield _SECONDS_BETWEEN_LINES

    return inject


def _append(path: Path, lines: Iterable[bytes]) -> None:
    with path.open("ab") as file:
        file.write(b"".join(line + b"\n" for line in lines))
