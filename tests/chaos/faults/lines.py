"""Lines that no store takes, in a file beside those of the service."""

import itertools
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson

from tests.chaos.faults.fault import Strike
from tests.chaos.stack import Stack

BAD_FILES: Final = "events-chaos_bad"
"""What the names of these files begin with."""

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


def malformed(count: int) -> Iterable[bytes]:
    """Return *count* lines that are no documents, or have no id."""
    return itertools.islice(itertools.cycle(_MALFORMED), count)


def refused(count: int) -> Iterable[bytes]:
    """Return *count* documents that the mapping refuses."""
    for wrong in itertools.islice(itertools.cycle(_REFUSED), count):
        event = {"id": f"chaos-bad-{uuid4().hex}"}
        yield orjson.dumps({"@timestamp": "2026-01-01T00:00:00.000000Z", "event": event, **wrong})


def writing(make_lines: Callable[[int], Iterable[bytes]]) -> Strike:
    """Return the fault of somebody who writes such lines beside the service's, ten a second."""

    def inject(stack: Stack, seconds: float) -> Generator[float]:
        path = stack.place.logs / f"{BAD_FILES}-{uuid4().hex}-0001.jsonl"
        for _ in range(max(1, int(seconds / _SECONDS_BETWEEN_LINES))):
            _append(path, make_lines(_LINES_AT_ONCE))
            yield _SECONDS_BETWEEN_LINES

    return inject


def _append(path: Path, lines: Iterable[bytes]) -> None:
    with path.open("ab") as file:
        file.write(b"".join(line + b"\n" for line in lines))
