"""Invariants of every written line, for any input."""

import json
import re
from typing import Any

from inferlog.audit import FIRST, Hasher, split
from inferlog.event import FIELDS

_ALWAYS = {"@timestamp", "event", "service"}
_OF_EVENTS = _ALWAYS | {"audit", "labels", *(field.path[0] for field in FIELDS.values())}
_OF_LINES = {*_ALWAYS, "log", "message", "labels", "error", "request_id", "correlation_id"} | {
    *("trace", "span", "model_name", "model_version", "gen_ai"),
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_SCALARS = (str, int, float, bool)


def parse_line(line: bytes) -> dict[str, Any]:
    """Parse *line* and check that it is one complete line with one JSON object, unique keys, and no forged field."""
    assert line.endswith(b"\n")
    assert b"\n" not in line[:-1]
    found: dict[str, Any] = json.loads(line.decode(), object_pairs_hook=_require_unique_keys, parse_constant=_refuse)
    is_event = found["event"]["dataset"] == "inference.events"
    assert found.keys() <= (_OF_EVENTS if is_event else _OF_LINES), found.keys()
    assert _TIME.fullmatch(found["@timestamp"])
    assert re.fullmatch("[0-9a-f]{32}", found["event"]["id"])
    assert found["service"].keys() == {"name", "version", "environment", "instance"}
    assert found["event"].keys() == (
        {"id", "dataset", "sequence", "action", "outcome"} if is_event else {"id", "dataset"}
    )
    labels = found.get("labels", {})
    assert len(labels) <= 64
    assert all(isinstance(value, _SCALARS) for value in labels.values())
    # A keyword of more than 32 766 bytes would cause the rejection of the whole document.
    assert all(len(name.encode()) + len(str(value).encode()) < 32_766 for name, value in labels.items())
    if is_event:
        _check_event(found)
    return found


def _check_event(event: dict[str, Any]) -> None:
    assert event["status"] in {"success", "rejected", "error", "cancelled"}
    previous, own, microseconds, body = split(event)
    assert Hasher()(previous, microseconds, body) == own
    assert previous != own != FIRST
    for name, field in FIELDS.items():
        value = _get_at(event, field.path)
        if value is None:
            continue
        if name.endswith(("_seconds", "_usd")):
            assert isinstance(value, (int, float))
            assert value >= 0
        elif name.endswith(("_tokens", "_size", "_flight", "_code")):
            assert isinstance(value, int)
            assert 0 <= value < 2**63
        elif name not in {"error_message", "error_stack_trace"}:
            assert all(0 < len(text) < 300 for text in (value if isinstance(value, list) else [value]))


def _get_at(found: Any, place: tuple[str, ...]) -> Any:
    for step in place:
        found = found.get(step, {})
    return found if found != {} else None


def _require_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), f"duplicate key: {[key for key, _ in pairs]}"
    return found


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not valid JSON")
