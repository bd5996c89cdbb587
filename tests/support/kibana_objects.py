"""Rules of the Kibana stand-in for each kind of object."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support import kibana_bodies as bodies

_NEW_ID = re.compile(r"[a-z0-9_-]{1,250}")
_OPTIONS = {
    "auto_apply_filters": True,
    "hide_panel_titles": False,
    "hide_panel_borders": False,
    "use_margins": True,
    "sync_colors": False,
    "sync_tooltips": False,
    "sync_cursor": True,
}
_NEWEST_SEARCH = (10, 15, 0)


@dataclass(frozen=True)
class Reply:
    """Response: JSON or raw bytes."""

    status: int
    content: Any


@dataclass
class Stored:
    """One object, and the space it is in. The ids of a kind are unique over all spaces."""

    space: str
    content: dict[str, Any]


@dataclass
class Objects:
    """All objects of the stand-in by kind and id."""

    stored: dict[tuple[str, str], Stored] = field(default_factory=dict)

    def find(self, kind: str, object_id: str, space: str) -> dict[str, Any] | None:
        found = self.stored.get((kind, object_id))
        return found.content if found and found.space == space else None

    def of(self, kind: str, space: str = "default") -> dict[str, dict[str, Any]]:
        """Return the contents of all objects of *kind* in *space* by id."""
        return {key[1]: each.content for key, each in self.stored.items() if key[0] == kind and each.space == space}

    def put(self, kind: str, object_id: str, space: str, content: dict[str, Any]) -> None:
        self.stored[kind, object_id] = Stored(space, content)

    def taken(self, kind: str, object_id: str) -> bool:
        return (kind, object_id) in self.stored


def refusal(status: int, message: str, **more: Any) -> Reply:
    names = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict"}
    return Reply(status, {"statusCode": status, "error": names.get(status, "Error"), "message": message, **more})


def not_found(kind: str, object_id: str) -> Reply:
    return refusal(404, f"Saved object [{kind}/{object_id}] not found")


def conflict(kind: str, object_id: str) -> Reply:
    return refusal(409, f"Saved object [{kind}/{object_id}] conflict")


def dashboard(objects: Objects, method: str, object_id: str, space: str, body: Any) -> Reply:
    found = objects.find("dashboard", object_id, space)
    if method == "GET":
        return not_found("dashboard", object_id) if found is None else Reply(200, _cru(object_id, found))
    message, panel_errors = bodies.dashboard_fault(body)
    if panel_errors:
        return Reply(400, {"message": "Bad request", "panelErrors": panel_errors})
    if message:
        return refusal(400, message)
    if found is None and not _NEW_ID.fullmatch(object_id):
        return refusal(400, f"invalid id {object_id}")
    if found is None and objects.taken("dashboard", object_id):
        return conflict("dashboard", object_id)
    content = _with_defaults(body)
    objects.put("dashboard", object_id, space, content)
    return Reply(201 if found is None else 200, _cru(object_id, content))


def _cru(object_id: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"id": object_id, "data": content, "meta": {"version": "WzEsMV0=", "managed": False}}


def _with_defaults(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "filters": [],
        "tags": [],
        "pinned_panels": [],
        **body,
        "options": {**_OPTIONS, **body.get("options", {})},
        "panels": [
            {"id": f"made-{index}", **panel, "grid": {"w": 24, "h": 15, **panel["grid"]}}
            for index, panel in enumerate(body.get("panels", []))
        ],
    }


def data_view(objects: Objects, method: str, path: str, space: str, body: Any) -> Reply:
    object_id, _, part = path.strip("/").partition("/")
    if not object_id:
        return _create_data_view(objects, space, body)
    found = objects.find("data_view", object_id, space)
    if found is None:
        return refusal(404, f"Saved object [index-pattern/{object_id}] not found")
    if method == "POST":
        message = bodies.fault(bodies.DATA_VIEW_FIELDS if part else bodies.DATA_VIEW_UPDATE, body)
        if message:
            return refusal(400, message)
        if part:
            for name, attributes in body["fields"].items():
                found["fieldAttrs"].setdefault(name, {}).update(attributes)
        else:
            found.update(body["data_view"])
    return Reply(200, {"data_view": found})


def _create_data_view(objects: Objects, space: str, body: Any) -> Reply:
    if message := bodies.fault(bodies.DATA_VIEW, body):
        return refusal(400, message)
    view = body["data_view"]
    override = body.get("override", False)
    for other, content in objects.of("data_view", space).items():
        if content["name"] == view.get("name", view["title"]):
            if not override:
                return refusal(400, f"Duplicate data view: {content['name']}")
            del objects.stored["data_view", other]
    if objects.taken("data_view", view["id"]) and not override:
        return refusal(400, f"Saved object [index-pattern/{view['id']}] conflict")
    content = {"fieldAttrs": {}, "fieldFormats": {}, "runtimeFieldMap": {}, "sourceFilters": [], **view}
    content.setdefault("name", view["title"])
    objects.put("data_view", view["id"], space, content)
    return Reply(200, {"data_view": {**content, "version": "WzEsMV0=", "namespaces": [space]}})


def connector(objects: Objects, method: str, object_id: str, space: str, body: Any) -> Reply:
    found = objects.find("connector", object_id, space)
    if method != "POST" and found is None:
        return not_found("action", object_id)
    if method == "GET":
        return Reply(200, found)
    if message := bodies.fault(bodies.CONNECTOR if method == "POST" else bodies.CONNECTOR_UPDATE, body):
        return refusal(400, message)
    if method == "POST" and len(object_id) > 36:
        return refusal(400, "[request params.id]: value has length greater than maximum of [36]")
    if method == "POST" and objects.taken("connector", object_id):
        return conflict("action", object_id)
    content = {
        "id": object_id,
        "connector_type_id": ".index",
        "is_preconfigured": False,
        "is_deprecated": False,
        "name": body["name"],
        "config": {"refresh": False, "executionTimeField": None, **body["config"]},
    }
    objects.put("connector", object_id, space, content)
    return Reply(200, content)


def rule(objects: Objects, method: str, object_id: str, space: str, body: Any) -> Reply:
    found = objects.find("rule", object_id, space)
    if method != "POST" and found is None:
        return not_found("alert", object_id)
    if method == "GET":
        return Reply(200, found)
    if message := bodies.fault(bodies.RULE if method == "POST" else bodies.RULE_UPDATE, body):
        return refusal(400, message)
    if method == "POST" and objects.taken("rule", object_id):
        return conflict("alert", object_id)
    for action in body.get("actions", []):
        if objects.find("connector", action["id"], space) is None:
            return refusal(400, f"Failed to load action {action['id']}")
    kept = {"consumer": "stackAlerts", "rule_type_id": ".es-query", "enabled": True}
    kept.update({key: found[key] for key in kept} if found else {})
    content = {
        "id": object_id,
        "tags": [],
        "actions": [],
        **kept,
        **body,
        "params": {"groupBy": "all", "excludeHitsFromPreviousRun": True, "aggType": "count", **body["params"]},
        "execution_status": {"status": "pending"},
    }
    objects.put("rule", object_id, space, content)
    return Reply(200, content)


def export(objects: Objects, space: str, body: Any) -> Reply:
    if message := bodies.fault(bodies.EXPORT, body):
        return refusal(400, message)
    wanted = [each["id"] for each in body["objects"]]
    missing = [each for each in wanted if objects.find("search", each, space) is None]
    if missing:
        errors = [{"id": each, "type": "search", "error": not_found("search", each).content} for each in missing]
        return refusal(400, "Error fetching objects to export", attributes={"objects": errors})
    return Reply(200, b"\n".join(json.dumps(objects.find("search", each, space)).encode() for each in wanted))


def import_objects(
    objects: Objects, space: str, lines: bytes, *, overwrite: bool, fault: Callable[[str], str | None]
) -> Reply:
    documents = [json.loads(line) for line in lines.splitlines() if line.strip()]
    errors, successes = [], []
    for document in documents:
        object_id = document["id"]
        message = fault(object_id) or bodies.fault(bodies.SEARCH, document["attributes"], "attributes")
        version = tuple(int(part) for part in document["typeMigrationVersion"].split("."))
        if message or document["type"] != "search" or version > _NEWEST_SEARCH:
            errors.append({"id": object_id, "type": "search", "error": {"type": "unknown", "message": message}})
        elif objects.find("search", object_id, space) and not overwrite:
            errors.append({"id": object_id, "type": "search", "error": {"type": "conflict"}})
        else:
            successes.append({"id": object_id, "type": "search", "overwrite": overwrite})
            if objects.taken("search", object_id) and objects.find("search", object_id, space) is None:
                object_id = successes[-1]["destinationId"] = f"made-for-{object_id}"
            objects.put("search", object_id, space, _in_newest_shape(object_id, document))
    return Reply(
        200,
        {"success": not errors, "successCount": len(successes), "successResults": successes}
        | ({"errors": errors} if errors else {}),
    )


def _in_newest_shape(object_id: str, document: dict[str, Any]) -> dict[str, Any]:
    """Bring a saved search to model version 13 and above, where the settings are in tabs only."""
    attributes = {key: document["attributes"].get(key) for key in ("title", "description", "tabs")}
    version = ".".join(map(str, _NEWEST_SEARCH))
    return {**document, "id": object_id, "attributes": attributes, "typeMigrationVersion": version}
