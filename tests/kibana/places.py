"""Where in a JSON body something stands."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Place = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    Something wrong.

    Attributes:
        path: Where, such as ``$.panels[3].config.type``.
        message: What.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def shown(place: Place) -> str:
    """Return *place* as a JSON path."""
    return "$" + "".join(_step(part) for part in place)


def walk(node: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield *node* and everything in it, each with its place."""
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
