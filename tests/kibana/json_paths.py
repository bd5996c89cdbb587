"""Paths within a JSON body."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

JsonPath = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardFault:
    """
    Fault in a dashboard.

    Attributes:
        path: JSON path, such as ``$.panels[3].config.type``.
        message: Description.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def format_path(place: JsonPath) -> str:
    """Return *place* in the notation of JSONPath."""
    return "$" + "".join(_step(part) for part in place)


def walk(node: Any, place: JsonPath = ()) -> Iterator[tuple[JsonPath, Any]]:
    """Yield *node* and all nodes in it, each with its path."""
    yield place, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from walk(value, (*place, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, (*place, index))


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN_KEY.fullmatch(part) else f"[{json.dumps(part)}]"
