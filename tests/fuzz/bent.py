"""Nearly valid JSON documents: a valid one with some values replaced, removed or moved."""

import copy
import json
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 0.5, 10**30, 10**400, 1e308, float("nan"), float("inf")),
    *("", "text", "1h", "0s", "queries/error_rate.esql", "{slo.error_rate}", "{slo.nothing}", "<b>", "\x1b[31m"),
    *("\ud800", "a\nb", [], {}, [[]], [{}], ["text"], {"": {}}, {"type": "vis"}, {"query": 7}),
)
_REMOVED = object()
_BYTES_OF_AN_EDIT = 3
_MOST_EDITS = 12


def bend(document: Any, data: bytes) -> bytes:
    """
    Return *document* as JSON after the edits in *data*: three bytes each select a value and its replacement.

    If *data* begins with a zero byte, the rest is the text itself. A replacement may be another value of the document.
    """
    if data[:1] == b"\x00":
        return data[1:]
    whole = {"": copy.deepcopy(document)}
    known = [holder[key] for holder, key in _find_places({"": document})]
    for at in range(1, len(data) - _BYTES_OF_AN_EDIT + 1, _BYTES_OF_AN_EDIT)[:_MOST_EDITS]:
        places = list(_find_places(whole))
        holder, key = places[int.from_bytes(data[at : at + 2], "big") % len(places)]
        value = _choose_value(data[at + 2], known)
        if value is not _REMOVED:
            holder[key] = value
        elif holder is not whole:
            del holder[key]
    return json.dumps(whole[""]).encode()


def _find_places(holder: Any) -> Any:
    """Yield the container and the key of each value."""
    keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
    for key in keys:
        yield holder, key
        yield from _find_places(holder[key])


def _choose_value(kind: int, known: list[Any]) -> Any:
    if kind < len(ODD):
        return copy.deepcopy(ODD[kind])
    if kind == 255:
        return _REMOVED
    return copy.deepcopy(known[kind % len(known)])
