"""Objects of the Kibana stand-in, with the answers of a real Kibana 8.12.2 to each call."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Version = tuple[int, int]

_NEWEST_TYPES = {"dashboard": "8.9.0", "search": "7.9.3", "index-pattern": "8.0.0"}
_VIEW_KEYS = {"id", "title", "name", "timeFieldName", "allowNoIndex", "runtimeFieldMap", "fieldAttrs", "fieldFormats"}
_CONNECTOR_KEYS = {"name", "connector_type_id", "config", "secrets"}
_RULE_KEYS = {"name", "consumer", "rule_type_id", "enabled", "tags", "schedule", "params", "actions", "alert_delay"}
_ONLY_AT_CREATION = {"consumer", "rule_type_id", "enabled", "connector_type_id"}
_NO_UUID = (
    "Predefined IDs are not allowed for saved objects with encrypted attributes unless the ID is a UUID.: Bad Request"
)


@dataclass(frozen=True)
class Reply:
    """Response: JSON or raw bytes."""

    status: int
    content: Any


@dataclass
class StoredObject:
    """One object, and the space it is in. The ids of a kind are unique over all spaces."""

    space: str
    content: dict[str, Any]


@dataclass
class Objects:
    """All objects of the stand-in by kind (the type of the saved object) and id."""

    stored: dict[tuple[str, str], StoredObject] = field(default_factory=dict)

    def find(self, kind: str, object_id: str, space: str) -> dict[str, Any] | None:
        found = self.stored.get((kind, object_id))
        return found.content if found and found.space == space else None

    def find_contents(self, kind: str, space: str = "default") -> dict[str, dict[str, Any]]:
        """Return the contents of all objects of *kind* in *space* by id."""
        return {key[1]: each.content for key, each in self.stored.items() if key[0] == kind and each.space == space}

    def put(self, kind: str, object_id: str, space: str, content: dict[str, Any]) -> None:
        self.stored[kind, object_id] = StoredObject(space, content)

    def is_taken(self, kind: str, object_id: str) -> bool:
        return (kind, object_id) in self.stored


def refuse(status: int, message: str, **more: Any) -> Reply:
    names = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict"}
    return Reply(status, {"statusCode": status, "error": names.get(status, "Error"), "message": message, **more})


def refuse_missing(kind: str, object_id: str) -> Reply:
    return refuse(404, f"Saved object [{kind}/{object_id}] not found")


def handle_data_view(objects: Objects, method: str, object_id: str, space: str, body: Any) -> Reply:
    kind = "index-pattern"
    if method == "POST" and not object_id:
        return _create_data_view(objects, space, body)
    found = objects.find(kind, object_id, space)
    if found is None:
        return refuse_missing(kind, object_id)
    if method == "POST":
        if unknown := _refuse_unknown_key(body["data_view"], _VIEW_KEYS - {"id", "fieldAttrs"}, "data_view"):
            return unknown
        found.update(body["data_view"])
    return Reply(200, {"data_view": found})


def _create_data_view(objects: Objects, space: str, body: Any) -> Reply:
    view, kind = body["data_view"], "index-pattern"
    if unknown := _refuse_unknown_key(view, _VIEW_KEYS, "data_view"):
        return unknown
    if any(other["name"] == view["name"] for other in objects.find_contents(kind, space).values()):
        return refuse(400, f"Duplicate data view: {view['name']}")
    if objects.is_taken(kind, view["id"]):
        return refuse(400, f"Saved object [{kind}/{view['id']}] conflict")
    content = {"fieldAttrs": {}, "fieldFormats": {}, "runtimeFieldMap": {}, "sourceFilters": [], **view}
    objects.put(kind, view["id"], space, content)
    return Reply(200, {"data_view": {**content, "version": "WzEsMV0=", "namespaces": [space]}})


def handle_connector(objects: Objects, method: str, object_id: str, space: str, body: Any) -> Reply:
    if refused := _check_encrypted(objects, "action", method, object_id, space):
        return refused
    found = objects.find("action", object_id, space)
    if method == "GET":
        return Reply(200, found)
    if unknown := _refuse_unknown_key(body, _CONNECTOR_KEYS - (set() if method == "POST" else _ONLY_AT_CREATION), ""):
        return unknown
    content = {
        "id": object_id,
        "connector_type_id": ".index",
        "is_preconfigured": False,
        "name": body["name"],
        "config": {"refresh": False, "executionTimeField": None, **body["config"]},
    }
    objects.put("action", object_id, space, content)
    return Reply(200, content)


def handle_rule(objects: Objects, method: str, object_id: str, space: str, body: Any, *, version: Version) -> Reply:
    if refused := _check_encrypted(objects, "alert", method, object_id, space):
        return refused
    found = objects.find("alert", object_id, space)
    if method == "GET":
        return Reply(200, found)
    known = _RULE_KEYS | ({"artifacts"} if version >= (9, 1) else set())
    if unknown := _refuse_unknown_key(body, known - (set() if method == "POST" else _ONLY_AT_CREATION), ""):
        return unknown
    group_by = body["params"]["groupBy"]
    if group_by != "all" and not (group_by == "row" and ((8, 19) <= version < (9, 0) or version >= (9, 1))):
        return refuse(400, f'params invalid: [groupBy]: invalid groupBy: "{group_by}"')
    for action in body["actions"]:
        if objects.find("action", action["id"], space) is None:
            missing = f"Saved object [action/{action['id']}] not found"
            return refuse(400, f"Failed to load action {action['id']} (404): {missing}")
    content = {**(found or {}), **body, "id": object_id, "execution_status": {"status": "pending"}}
    objects.put("alert", object_id, space, content)
    return Reply(200, content)


def _check_encrypted(objects: Objects, kind: str, method: str, object_id: str, space: str) -> Reply | None:
    if method == "POST":
        if not _is_uuid(object_id):
            return refuse(400, _NO_UUID)
        if objects.is_taken(kind, object_id):
            return refuse(409, f"Saved object [{kind}/{object_id}] conflict")
        return None
    return refuse_missing(kind, object_id) if objects.find(kind, object_id, space) is None else None


def export(objects: Objects, space: str, body: Any) -> Reply:
    wanted = [(each["type"], each["id"]) for each in body["objects"]]
    missing = [each for each in wanted if objects.find(*each, space) is None]
    if missing:
        errors = [{"id": id_, "type": kind, "error": refuse_missing(kind, id_).content} for kind, id_ in missing]
        return refuse(400, "Error fetching objects to export", attributes={"objects": errors})
    return Reply(200, b"\n".join(json.dumps(objects.find(*each, space)).encode() for each in wanted))


def import_objects(objects: Objects, space: str, lines: bytes) -> Reply:
    """Import with ``overwrite``: a document of a newer version refuses the whole file, a missing reference its own."""
    documents = [json.loads(line) for line in lines.splitlines() if line.strip()]
    for document in documents:
        newest = _NEWEST_TYPES[document["type"]]
        if _parse(document["typeMigrationVersion"]) > _parse(newest):
            return refuse(
                422,
                f'Document "{document["id"]}" belongs to a more recent version of Kibana '
                f"[{document['typeMigrationVersion']}] when the last known version is [{newest}].",
            )
    errors, successes = [], []
    for document in documents:
        kind, object_id = document["type"], document["id"]
        missing = [each for each in document["references"] if not _has_reference(objects, each, space, documents)]
        if missing:
            error = {"type": "missing_references", "references": missing}
            errors.append({"id": object_id, "type": kind, "error": error})
            continue
        success = {"id": object_id, "type": kind}
        if objects.is_taken(kind, object_id) and objects.find(kind, object_id, space) is None:
            object_id = success["destinationId"] = f"made-for-{object_id}"
        objects.put(kind, object_id, space, {**document, "id": object_id})
        successes.append(success)
    return Reply(
        200,
        {"success": not errors, "successCount": len(successes), "successResults": successes}
        | ({"errors": errors} if errors else {}),
    )


def _has_reference(objects: Objects, reference: Mapping[str, str], space: str, documents: list[dict[str, Any]]) -> bool:
    kind, object_id = reference["type"], reference["id"]
    if kind not in {"index-pattern", "search"}:
        return True
    in_file = any((each["type"], each["id"]) == (kind, object_id) for each in documents)
    return in_file or objects.find(kind, object_id, space) is not None


def _refuse_unknown_key(body: Mapping[str, Any], known: set[str], where: str) -> Reply | None:
    unknown = sorted(body.keys() - known)
    if not unknown:
        return None
    path = ".".join(filter(None, ("request body", where, unknown[0])))
    return refuse(400, f"[{path}]: definition for this key is missing")


def _is_uuid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f-]{36}", text) is not None and str(uuid.UUID(text)) == text


def _parse(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
