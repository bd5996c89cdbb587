"""
What the server takes, and shows otherwise than meant. Expects a body that passes the schema.

Panels that overlap or reach past the last column, gaps between them, which it closes, and ids that stand twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.kibana.places import Fault, Place, shown

_COLUMNS = 48
_DEFAULT_WIDTH, _DEFAULT_HEIGHT = 24, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """A panel's part of the grid, or a section's: one row of it."""

    place: Place
    left: int
    top: int
    right: int
    bottom: int

    def overlaps(self, other: "_Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def faults(body: dict[str, Any]) -> Iterator[Fault]:
    """Yield what would lie elsewhere than meant, and ids that stand twice."""
    yield from _repeated_ids(body)
    yield from _misplaced(body.get("panels", []), ("panels",))


def _repeated_ids(body: dict[str, Any]) -> Iterator[Fault]:
    seen: dict[str, Place] = {}
    for place, item in _items(body):
        name = item.get("id")
        if name is None:
            continue
        if name in seen:
            yield Fault(path=shown((*place, "id")), message=f"the id {name!r} stands at {shown(seen[name])}, too")
        seen.setdefault(name, place)


def _items(body: dict[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    for index, item in enumerate(body.get("panels", [])):
        yield ("panels", index), item
        for inner, panel in enumerate(item.get("panels", [])):
            yield ("panels", index, "panels", inner), panel
    for index, control in enumerate(body.get("pinned_panels", [])):
        yield ("pinned_panels", index), control


def _misplaced(items: list[dict[str, Any]], place: Place) -> Iterator[Fault]:
    boxes = [_box(item, (*place, index)) for index, item in enumerate(items)]
    for index, box in enumerate(boxes):
        if box.right > _COLUMNS:
            yield Fault(path=shown((*box.place, "grid")), message=f"reaches to column {box.right} of {_COLUMNS}")
        for other in boxes[:index]:
            if box.overlaps(other):
                yield Fault(path=shown((*box.place, "grid")), message=f"overlaps {shown(other.place)}")
        if not _is_held(box, boxes):
            yield Fault(path=shown((*box.place, "grid")), message="has nothing right above it: it would float up")
    for index, item in enumerate(items):
        yield from _misplaced(item.get("panels", []), (*place, index, "panels"))


def _box(item: dict[str, Any], place: Place) -> _Box:
    grid = item["grid"]
    if "type" not in item:
        return _Box(place=place, left=0, top=grid["y"], right=_COLUMNS, bottom=grid["y"] + 1)
    left, top = grid["x"], grid["y"]
    width, height = grid.get("w", _DEFAULT_WIDTH), grid.get("h", _DEFAULT_HEIGHT)
    return _Box(place=place, left=left, top=top, right=left + width, bottom=top + height)


def _is_held(box: _Box, boxes: list[_Box]) -> bool:
    return box.top == 0 or any(
        other.bottom == box.top and other.left < box.right and box.left < other.right for other in boxes
    )
