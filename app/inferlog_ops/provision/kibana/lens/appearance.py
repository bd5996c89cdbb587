"""Number formats and colours of the dashboard files in the form of Lens."""

from collections.abc import Mapping, Sequence
from typing import Any

_ABOVE_ALL_STOPS = 1000.0
_DURATION_DECIMALS = 2


def convert_format(number_format: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the Lens format of a column; None for the default of its field."""
    if number_format is None:
        return None
    decimals = {"decimals": number_format["decimals"]} if "decimals" in number_format else {}
    match number_format["type"]:
        case "number":
            optional = {key: number_format[key] for key in ("suffix", "compact") if key in number_format}
            return {"id": "number", "params": {**decimals, **optional}}
        case "percent" | "bytes" as name:
            return {"id": name, "params": decimals}
        case "duration":
            units = {"fromUnit": "seconds", "toUnit": "humanizePrecise"}
            return {"id": "duration", "params": {**units, "decimals": _DURATION_DECIMALS, "compact": True}}
        case "custom":
            return {"id": "custom", "params": {"decimals": 2, "pattern": number_format["pattern"]}}
    raise ValueError(f"unknown number format: {number_format!r}")


def drop_unit(number_format: dict[str, Any] | None, unit: str) -> dict[str, Any] | None:
    """Return the Lens format without *unit* at the end of its suffix: Lens appends the unit of a rate itself."""
    if number_format is None or "suffix" not in number_format["params"]:
        return number_format
    params = number_format["params"]
    return {**number_format, "params": {**params, "suffix": params["suffix"].removesuffix(unit)}}


def build_thresholds(color: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the palette of a dynamic *color*: a colour for each range of the value; None for any other colour."""
    if color is None or color.get("type") != "dynamic":
        return None
    steps: Sequence[Mapping[str, Any]] = color["steps"]
    last = _ABOVE_ALL_STOPS * max(steps[-1].get("gte", 1), 1)
    return {
        "type": "palette",
        "name": "custom",
        "params": {
            "name": "custom",
            "reverse": False,
            "rangeType": "number",
            "rangeMin": 0,
            "rangeMax": None,
            "progression": "fixed",
            "steps": len(steps),
            "maxSteps": 5,
            "continuity": "above",
            "colorStops": [{"color": step["color"], "stop": step.get("gte", 0)} for step in steps],
            "stops": [{"color": step["color"], "stop": step.get("lt", last)} for step in steps],
        },
    }


def build_color_mapping(color: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the colours of single values of a categorical *color*; None for any other colour."""
    if color is None or color.get("mode") != "categorical":
        return None
    return {
        "paletteId": "eui_amsterdam_color_blind",
        "colorMode": {"type": "categorical"},
        "assignments": [
            {
                "rule": {"type": "matchExactly", "values": each["values"]},
                "color": {"type": "colorCode", "colorCode": each["color"]["value"]},
                "touched": True,
            }
            for each in color["mapping"]
        ],
        "specialAssignments": [{"rule": {"type": "other"}, "color": {"type": "loop"}, "touched": False}],
    }
