"""
Layout faults that the server accepts and displays differently. Expects a body that passes the schema.

Panels that overlap or exceed the last column, gaps, which Kibana closes, and repeated ids.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.kibana.json_paths import DashboardFault, JsonPath, format_path

_COLUMNS = 48
_DEFAULT_WIDTH, _DEFAULT_HEIGHT = 24, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """Grid area of a panel, or of a section, which is one row high."""

    place: JsonPath
    left: int
    top: int
    right: int
    bottom: int

    def overlaps(self, other: "_Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def find_faults(body: dict[str, Any]) -> Iterator[DashboardFault]:
    """Yield panels that Kibana would move, and repeated ids."""
    yield from _find_repeated_ids(body)
    yield from _find_misplaced(body.get("panels", []), ("panels",))


def _find_repeated_ids(body: dict[str, Any]) -> Iterator[DashboardFault]:
    seen: dict[str, JsonPath] = {}
    for place, item in _list_items(body):
        name = item.get("id")
        if name is None:
            continue
        if name in seen:
            yield DashboardFault(
                path=format_path((*place, "id")), message=f"the id {name!r} is also at {format_path(seen[name])}"
            )
        seen.setdefault(name, place)


def _list_items(body: dict[str, Any]) -> Iterator[tuple[JsonPath, dict[str, Any]]]:
    for index, item in enumerate(body.get("panels", [])):
        yield ("panels", index), item
        for inner, panel in enumerate(item.get("panels", [])):
            yield ("panels", index, "panels", inner), panel
    for index, control in enumerate(body.get("pinned_panels", [])):
        yield ("pinned_panels", index), control


def _find_misplaced(items: list[dict[str, Any]], place: JsonPath) -> Iterator[DashboardFault]:
    boxes = [_build_box(item, (*place, index)) for index, item in enumerate(items)]
    for index, box in enumerate(boxes):
        if box.right > _COLUMNS:
            yield DashboardFault(
                path=format_path((*box.place, "grid")), message=f"reaches to column {box.right} of {_COLUMNS}"
            )
        for other in boxes[:index]:
            if box.overlaps(other):
                yield DashboardFault(
                    path=format_path((*box.place, "grid")), message=f"overlaps {format_path(other.place)}"
                )
        if not _is_held(box, boxes):
            yield DashboardFault(
                path=format_path((*box.place, "grid")), message="has nothing right above it: it would float up"
            )
    for index, item in enumerate(items):
        yield from _find_misplaced(item.get("panels", []), (*place, index, "panels"))


def _build_box(item: dict[str, Any], place: JsonPath) -> _Box:
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
