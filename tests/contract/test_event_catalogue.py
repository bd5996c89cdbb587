"""Code, index and documentation have the same fields."""

import json
from pathlib import Path
from typing import Any

import inferlog
from inferlog.event import FIELDS
from inferlog_ops.ship.health import Health
from inferlog_ops.ship.status import Counts, ShipperStatus
from tests.support.logfiles import Logs

ROOT = Path(__file__).parents[2]
ADDED_ON_THE_WAY = {"event.ingested"}


def read_rows(heading: str) -> list[list[str]]:
    """Return the cells of each row below *heading* in docs/events.md."""
    section = (ROOT / "docs" / "events.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    assert lines, heading
    return [[cell.strip(" |") for cell in line.split(" | ")] for line in lines]


def read_catalogue() -> dict[str, tuple[str | None, str]]:
    """Return Python name and type by field of an event, from docs/events.md."""
    return {
        field.strip("`"): (name.strip("`") if "`" in name else None, kind)
        for field, name, kind, *_ in read_rows("Fields")
    }


def find_leaves(properties: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, mapping in properties.items():
        if "properties" in mapping:
            found |= find_leaves(mapping["properties"], f"{prefix}{name}.")
        else:
            unindexed = ", not indexed" if mapping.get("index") is False else ""
            found[prefix + name] = mapping["type"] + unindexed
    return found


def read_mapped_types(*components: str) -> dict[str, str]:
    """Return type by field, from the component templates."""
    found: dict[str, str] = {}
    for component in components:
        path = ROOT / "infra" / "elasticsearch" / "component_templates" / f"{component}.json"
        found |= find_leaves(json.loads(path.read_text())["template"]["mappings"]["properties"])
    return found


def test_every_field_that_code_may_set_is_documented_with_its_python_name() -> None:
    documented = {field: name for field, (name, _) in read_catalogue().items() if name}
    fields = {".".join(field.path): name for name, field in FIELDS.items()}
    assert documented == fields, "docs/events.md has a row for each entry of FIELDS in app/inferlog/event.py"


def test_every_documented_field_is_mapped_with_that_type_and_no_other_is() -> None:
    documented = {field: kind for field, (_, kind) in read_catalogue().items()}
    events = read_mapped_types(
        "inferlog-common-mappings", "inferlog-events-mappings", "inferlog-events-dataset-cluster"
    )
    assert documented == events, "docs/events.md has the types of infra/elasticsearch/component_templates"


def test_complete_event_has_exactly_the_documented_fields(logs: Logs) -> None:
    values: dict[str, Any] = dict.fromkeys(FIELDS, "x")
    values |= {name: 1 for name in FIELDS if name.endswith(("_seconds", "_tokens", "_usd", "_flight", "_size"))}
    values |= {"http_response_status_code": 200, "finish_reasons": ["stop"], "status": "error", "started_at": 1}
    with inferlog.track_performance("everything") as call:
        for name, value in (values | {"tenant": "acme"}).items():
            setattr(call, name, value)
    written = set(flatten(logs.event)) - {"labels.tenant"} | {"labels"}
    assert written == read_catalogue().keys() - ADDED_ON_THE_WAY


def test_fields_of_a_log_line_are_mapped(logs: Logs) -> None:
    with inferlog.track_performance("x", model_version="v1", model_name="m"):
        try:
            raise ValueError("boom")
        except ValueError:
            inferlog.get_logger().exception("failed", tenant="acme", trace_id="t", span_id="s")
    (line,) = logs.read_lines("app")
    app = read_mapped_types("inferlog-common-mappings", "inferlog-app-mappings", "inferlog-app-dataset-cluster")
    assert set(flatten(line)) - {"labels.tenant"} <= app.keys()


def test_every_documented_health_field_is_mapped_with_that_type_and_no_other_is() -> None:
    documented = {field.strip("`"): kind for field, kind, *_ in read_rows("Health lines")}
    assert documented == read_mapped_types("inferlog-health-mappings")


def test_fields_of_a_heartbeat_are_mapped(logs: Logs) -> None:
    with inferlog.track_performance("x"):
        pass
    inferlog.shutdown()
    (line,) = logs.read_lines("health")
    assert set(flatten(line)) <= read_health_fields()


def test_the_fields_of_a_shipper_s_line_are_mapped(tmp_path: Path) -> None:
    status = ShipperStatus(
        counts=Counts(),
        behind_bytes=1,
        behind_events=1,
        behind_seconds=0.5,
        pending=0,
        retries=1,
        waiting=["for a test"],
        clock_skew_seconds=0.25,
        left_alone=[],
        no_health_lines=None,
    )
    health = Health(tmp_path, shipper_id="one", every_seconds=1)
    assert health.record(status)
    (line,) = Logs(tmp_path).read_lines("health")
    assert set(flatten(line)) <= read_health_fields()
    shippers = {field for field in read_health_fields() if field.startswith("shipper.")}
    assert shippers <= set(flatten(line)), "every one is written"


def read_health_fields() -> set[str]:
    return set(
        read_mapped_types("inferlog-common-mappings", "inferlog-health-mappings", "inferlog-health-dataset-cluster")
    )


def flatten(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found
