"""A JSON document that is nearly right: one that is, with some of its values replaced, removed or moved."""

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


def bent(document: Any, data: bytes) -> bytes:
    """
    Return *document* as JSON after the edits in *data*, three bytes each: which value, and what becomes of it.

    Where *data* begins with a zero, what follows is the text itself. A value may become another one of the document's.
    """
    if data[:1] == b"\x00":
        return data[1:]
    whole = {"": copy.deepcopy(document)}
    known = [holder[key] for holder, key in _places({"": document})]
    for at in range(1, len(data) - _BYTES_OF_AN_EDIT + 1, _BYTES_OF_AN_EDIT)[:_MOST_EDITS]:
        places = list(_places(whole))
        holder, key = places[int.from_bytes(data[at : at + 2], "big") % len(places)]
        value = _value(data[at + 2], known)
        if value is not _REMOVED:
            holder[key] = value
        elif holder is not whole:
            del holder[key]
    return json.dumps(whole[""]).encode()


def _places(holder: Any) -> Any:
    """Yield where each value stands: what holds it, and under which key."""
    keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
    for key in keys:
        yield holder, key
        yield from _places(holder[key])


def _value(kind: int, known: list[Any]) -> Any:
    if kind < len(ODD):
        return copy.deepcopy(ODD[kind])
    if kind == 255:
        return _REMOVED
    return copy.deepcopy(known[kind % len(known)])
