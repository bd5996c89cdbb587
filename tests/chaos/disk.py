"""What lies on the disk: every whole line of every log file, also of those that were deleted since."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from inferlog_ops.ship.discovery import stream_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    One whole line that is not empty.

    Attributes:
        file: Name of its file.
        offset: Its first byte's place in the file.
        stream: Where it is to go.
        content: What it holds; empty if it is no JSON object.
    """

    file: str
    offset: int
    stream: str
    content: dict[str, Any]

    @property
    def id(self) -> str | None:
        """Its ``event.id``, if it has one."""
        event = self.content.get("event")
        event_id = event.get("id") if isinstance(event, dict) else None
        return event_id if isinstance(event_id, str) else None

    @property
    def instance(self) -> str:
        """Which process wrote it."""
        return str(self.content.get("service", {}).get("instance", {}).get("id"))

    @property
    def sequence(self) -> int | None:
        """Its number among the inference events of that process; None if it is none."""
        event = self.content.get("event")
        return event.get("sequence") if isinstance(event, dict) else None


def read_lines(folder: Path) -> list[Line]:
    """Return the lines of all log files in *folder*, each file's in their order."""
    return [line for path in sorted(folder.glob("*.jsonl")) for line in _lines(path)]


def whole_bytes(path: Path) -> int:
    """Return how many bytes of *path* are whole lines."""
    return path.read_bytes().rfind(b"\n") + 1


def _lines(path: Path) -> Iterator[Line]:
    stream = stream_of(path.name)
    if stream is None:
        return
    offset = 0
    with path.open("rb") as lines:
        for raw in lines:
            if raw.endswith(b"\n") and not raw.isspace():
                yield Line(file=path.name, offset=offset, stream=stream, content=_object(raw))
            offset += len(raw)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}
