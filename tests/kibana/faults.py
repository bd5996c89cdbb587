"""Faults in a dashboard file: against the schema of Kibana 9.5's dashboards API, its further rules, and the layout."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from tests.kibana import layout, server_rules
from tests.kibana.json_paths import DashboardFault, format_path

_SCHEMA = Path(__file__).with_name("dashboard.schema.json")


def find_faults(body: Any) -> list[DashboardFault]:
    """Return every fault of *body* once; layout faults only if it has no others."""
    found = list(_find_schema_faults(body))
    if not found:
        found = list(server_rules.find_faults(body))
    if not found:
        found = list(layout.find_faults(body))
    return list(dict.fromkeys(found))


def read(text: str) -> Any:
    """
    Return the JSON in *text*.

    Raises:
        ValueError: If it is not valid JSON, or if a key is repeated in one object: the first value would be lost.
    """
    return json.loads(text, object_pairs_hook=_require_unique_keys)


def _require_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ValueError(f"the key {key!r} is repeated in one object")
        seen[key] = value
    return seen


def _find_schema_faults(body: Any) -> Iterator[DashboardFault]:
    for error in _build_validator().iter_errors(body):
        # For a choice of several schemas, report the closest one.
        deepest = best_match([error]) if error.context else error
        yield DashboardFault(path=format_path(tuple(deepest.absolute_path)), message=deepest.message)


@cache
def _build_validator() -> Draft202012Validator:
    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
