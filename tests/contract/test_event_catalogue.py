"""Code, index and documentation speak of the same fields."""

import json
from pathlib import Path
from typing import Any

from logfiles import Logs

import inferlog
from inferlog.event import FIELDS

ROOT = Path(__file__).parents[2]
ADDED_ON_THE_WAY = {"event.ingested"}


def catalogue() -> dict[str, tuple[str | None, str]]:
    """Return Python name and type by field, as docs/events.md has them."""
    rows = [
        line.split(" | ") for line in (ROOT / "docs" / "events.md").read_text().splitlines() if line.startswith("| `")
    ]
    cells = [[cell.strip(" |") for cell in row] for row in rows]
    return {field.strip("`"): (name.strip("`") if "`" in name else None, kind) for field, name, kind, *_ in cells}


def leaves(properties: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, mapping in properties.items():
        if "properties" in mapping:
            found |= leaves(mapping["properties"], f"{prefix}{name}.")
        else:
            unindexed = ", not indexed" if mapping.get("index") is False else ""
            found[prefix + name] = mapping["type"] + unindexed
    return found


def mapped(*components: str) -> dict[str, str]:
    """Return type by field, as the component templates map them."""
    found: dict[str, str] = {}
    for component in components:
        path = ROOT / "infra" / "elasticsearch" / "component_templates" / f"{component}.json"
        found |= leaves(json.loads(path.read_text())["template"]["mappings"]["properties"])
    return found


def test_every_field_that_code_may_set_is_documented_with_its_python_name() -> None:
    documented = {field: name for field, (name, _) in catalogue().items() if name}
    assert documented == {".".join(field.place): name for name, field in FIELDS.items()}


def test_every_documented_field_is_mapped_with_that_type_and_no_other_is() -> None:
    documented = {field: kind for field, (_, kind) in catalogue().items()}
    events = mapped("inferlog-common-mappings", "inferlog-events-mappings", "inferlog-events-dataset-cluster")
    assert documented == events


def test_an_event_with_everything_in_it_has_exactly_the_documented_fields(logs: Logs) -> None:
    values: dict[str, Any] = dict.fromkeys(FIELDS, "x")
    values |= {name: 1 for name in FIELDS if name.endswith(("_seconds", "_tokens", "_usd", "_flight", "_size"))}
    values |= {"http_response_status_code": 200, "finish_reasons": ["stop"], "status": "error"}
    with inferlog.track_performance("everything") as call:
        for name, value in (values | {"tenant": "acme"}).items():
            setattr(call, name, value)
    written = set(flattened(logs.event)) - {"labels.tenant"} | {"labels"}
    assert written == catalogue().keys() - ADDED_ON_THE_WAY


def test_a_log_line_s_fields_are_mapped(logs: Logs) -> None:
    with inferlog.track_performance("x", model_version="v1", model_name="m"):
        try:
            raise ValueError("boom")
        except ValueError:
            inferlog.get_logger().exception("failed", tenant="acme", trace_id="t", span_id="s")
    (line,) = logs.lines("app")
    app = mapped("inferlog-common-mappings", "inferlog-app-mappings", "inferlog-app-dataset-cluster")
    assert set(flattened(line)) - {"labels.tenant"} <= app.keys()


def flattened(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= flattened(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found
