"""Everything that Kibana 9.5 would refuse in the body of ``PUT /api/dashboards/<id>``, or show otherwise than meant."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from tests.kibana import layout, server_rules
from tests.kibana.places import Fault, shown

_SCHEMA = Path(__file__).with_name("dashboard.schema.json")


def faults(body: Any) -> list[Fault]:
    """Return every fault of *body*, each once; those of the layout only if it has no other."""
    found = list(_schema_faults(body))
    if not found:
        found = list(server_rules.faults(body))
    if not found:
        found = list(layout.faults(body))
    return list(dict.fromkeys(found))


def read(text: str) -> Any:
    """
    Return the JSON in *text*.

    Raises:
        ValueError: If it is none, or if a key stands twice in one object: the first one would be silently lost.
    """
    return json.loads(text, object_pairs_hook=_each_key_once)


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ValueError(f"the key {key!r} stands twice in one object")
        seen[key] = value
    return seen


def _schema_faults(body: Any) -> Iterator[Fault]:
    for error in _validator().iter_errors(body):
        # Of a choice between several forms, the one that came closest says most.
        deepest = best_match([error]) if error.context else error
        yield Fault(path=shown(tuple(deepest.absolute_path)), message=deepest.message)


@cache
def _validator() -> Draft202012Validator:
    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
