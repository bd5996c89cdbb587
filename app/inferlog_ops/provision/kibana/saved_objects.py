"""Saved objects of Kibana in the format of its import: one export to read the existing ones, one import of changes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from inferlog_ops.provision.desired import (
    ProvisionedObject,
    ProvisionOutcome,
    Request,
    Stamp,
    decide,
    explain_foreign,
    is_success,
)
from inferlog_ops.provision.kibana.client import KibanaClient, KibanaResponse
from inferlog_ops.provision.kibana.identity import WAY_OUT, format_mark, parse_mark

_CHANGES = {ProvisionOutcome.CREATED, ProvisionOutcome.UPDATED}
_CORE_MIGRATION_VERSION = "8.8.0"
_EXPORT = "/api/saved_objects/_export"
_IMPORT = "/api/saved_objects/_import?overwrite=true"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedObject:
    """
    A saved object.

    Attributes:
        type: "dashboard", "search", …
        id: Its id in Kibana.
        attributes: Its content.
        references: Saved objects that it refers to: ``{"name": …, "type": …, "id": …}``.
        type_migration_version: Oldest version of the type that carries what we need. An older Kibana rejects the whole
            file; a newer one migrates the object upwards.
    """

    type: str
    id: str
    attributes: dict[str, Any]
    references: tuple[dict[str, str], ...]
    type_migration_version: str

    def to_json(self) -> dict[str, Any]:
        """Return the object as a line of an import file."""
        return {
            "type": self.type,
            "id": self.id,
            "attributes": self.attributes,
            "references": list(self.references),
            "coreMigrationVersion": _CORE_MIGRATION_VERSION,
            "typeMigrationVersion": self.type_migration_version,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedObject:
    """
    A desired saved object with its mark.

    Attributes:
        kind: Name of its kind in messages.
        stamp: Stamp of its content without the mark.
        content: The object, with the mark in its description.
    """

    kind: str
    stamp: Stamp
    content: SavedObject


def mark_object(kind: str, source: str, content: SavedObject) -> MarkedObject:
    """Return *content*, made from the file *source*, with its mark."""
    stamp = Stamp.from_content(source, content.to_json())
    description = f"{content.attributes.get('description', '')} {format_mark(stamp)}".lstrip()
    return MarkedObject(
        kind=kind, stamp=stamp, content=replace(content, attributes={**content.attributes, "description": description})
    )


def import_request(objects: Sequence[MarkedObject]) -> Request:
    """Return the request that creates or replaces *objects*."""
    lines = [each.content.to_json() for each in objects]
    return Request(method="POST", path=_IMPORT, body=lines, file_name="inferlog-objects.ndjson")


def ensure_objects(client: KibanaClient, objects: Sequence[MarkedObject]) -> list[ProvisionedObject]:
    """
    Create or update each of *objects*; a rejected one is an outcome with its reason.

    All in one import, because Kibana takes a second for each. If it rejects the file as a whole, which it does for one
    invalid object, each is imported alone.
    """
    found, reason = _read_stamps(client, objects)
    if reason is not None:
        return [_describe(each, ProvisionOutcome.REFUSED, reason) for each in objects]
    wanted = {each.content.id: each for each in objects}
    outcomes = {id_: decide(each.stamp, exists=id_ in found, found=found.get(id_)) for id_, each in wanted.items()}
    refusals = {
        id_: explain_foreign(client, wanted[id_].kind, id_, WAY_OUT)
        for id_, outcome in outcomes.items()
        if outcome is ProvisionOutcome.REFUSED
    }
    refusals |= _import(client, [wanted[id_] for id_, outcome in outcomes.items() if outcome in _CHANGES])
    return [
        _describe(each, ProvisionOutcome.REFUSED if id_ in refusals else outcomes[id_], refusals.get(id_))
        for id_, each in wanted.items()
    ]


def _describe(each: MarkedObject, outcome: ProvisionOutcome, reason: str | None) -> ProvisionedObject:
    return ProvisionedObject(name=each.content.id, kind=each.kind, outcome=outcome, reason=reason)


def _read_stamps(client: KibanaClient, objects: Sequence[MarkedObject]) -> tuple[dict[str, Stamp | None], str | None]:
    """Return the stamp of each existing object, and the reason if they cannot be read."""
    answer = _export(client, objects)
    if missing := _find_missing(answer):
        left = [each for each in objects if each.content.id not in missing]
        if not left:
            return {}, None
        answer = _export(client, left)
    if not is_success(answer):
        return {}, f"Kibana rejected the export of saved objects with {answer.status}: {answer.message}"
    documents = [orjson.loads(line) for line in answer.body.splitlines() if line.strip()]
    return {each["id"]: parse_mark(each["attributes"].get("description")) for each in documents}, None


def _export(client: KibanaClient, objects: Sequence[MarkedObject]) -> KibanaResponse:
    body = {
        "objects": [{"type": each.content.type, "id": each.content.id} for each in objects],
        "includeReferencesDeep": False,
        "excludeExportDetails": True,
    }
    return client.send(Request(method="POST", path=_EXPORT, body=body), "reading the saved objects")


def _find_missing(answer: KibanaResponse) -> set[str]:
    """Return the ids that Kibana does not have; with one of them it exports nothing."""
    content = answer.json
    if answer.status != 400 or not isinstance(content, dict):
        return set()
    objects: list[dict[str, Any]] = (content.get("attributes") or {}).get("objects") or []
    return {each["id"] for each in objects if (each.get("error") or {}).get("statusCode") == 404}


def _import(client: KibanaClient, objects: Sequence[MarkedObject]) -> dict[str, str]:
    """Import *objects*; return the reason for each rejected one."""
    if not objects:
        return {}
    answer = client.send(import_request(objects), "importing the saved objects")
    content = answer.json
    if not is_success(answer) or not isinstance(content, dict):
        if len(objects) > 1 and answer.status != 403:
            # Kibana rejects a dashboard whose saved queries do not exist yet.
            in_order = sorted(objects, key=lambda each: each.content.type == "dashboard")
            return {id_: reason for each in in_order for id_, reason in _import(client, [each]).items()}
        reason = f"Kibana rejected the import with {answer.status}: {answer.message}"
        return {each.content.id: f"{each.stamp.source}: {reason}" for each in objects}
    failures = {each["id"]: _import_error(each.get("error") or {}) for each in content.get("errors") or []}
    for each in content.get("successResults") or []:
        if each.get("destinationId", each["id"]) != each["id"]:
            failures[each["id"]] = (
                f"another space has a {each['type']} {each['id']}, so Kibana keeps this one as {each['destinationId']}"
            )
    return failures


def _import_error(error: dict[str, Any]) -> str:
    missing = ", ".join(f"{each.get('type')} {each.get('id')}" for each in error.get("references") or [])
    reason = error.get("message") or error.get("type") or "no reason given"
    return f"Kibana did not import it: {reason}" + (f" ({missing})" if missing else "")
