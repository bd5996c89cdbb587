"""Data views in kibana/data_views: groups of indices, for controls and Discover."""

import json
from pathlib import Path
from typing import Any

from inferlog_ops.core.assets import asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.kibana.desired import DesiredObject, json_request
from inferlog_ops.provision.kibana.identity import append_mark, compute_digest, digest_in, object_id, qualify_title

FOLDER = "kibana/data_views"
KIND = "data view"

_API = "/api/data_views/data_view"
_KEYS = ("title", "name", "timeFieldName", "allowNoIndex")


def load_all() -> dict[str, dict[str, Any]]:
    """
    Return the content of all files by name, which is the id in the namespace "default".

    Raises:
        OperatorError: If a file is invalid or there is no file.
    """
    files = sorted(asset_dir(FOLDER).glob("*.json"))
    if not files:
        raise OperatorError(f"{FOLDER} contains no data view; install inferlog again")
    return {path.stem: _read(path) for path in files}


def build_desired(base: str, file: dict[str, Any], namespace: str) -> DesiredObject:
    """Return the data view *base* with the content *file* for *namespace*."""
    view_id, source = object_id(base, namespace), f"{FOLDER}/{base}.json"
    view = {
        **file,
        "id": view_id,
        "title": file["title"].replace("*", namespace),
        "name": qualify_title(file["name"], namespace),
    }
    digest = compute_digest(view)
    time_field = file["timeFieldName"]
    # A data view has no description; the description of its time field is the closest text.
    described = {time_field: {"customDescription": append_mark("Time of the document.", source, digest)}}
    body = {
        # With true, Kibana would first delete any other data view of the same name.
        "override": False,
        "data_view": {**view, "fieldAttrs": described},
    }

    def digest_found(answer: Any) -> str | None:
        attributes = answer["data_view"].get("fieldAttrs", {}).get(time_field, {})
        return digest_in(attributes.get("customDescription"))

    return DesiredObject(
        kind=KIND,
        id=view_id,
        source=source,
        digest=digest,
        body=body,
        read=f"{_API}/{view_id}",
        digest_in=digest_found,
        create=json_request("POST", _API, body),
        # Replacing the whole view would delete the runtime fields and labels of its users.
        update=(
            json_request("POST", f"{_API}/{view_id}", {"data_view": {key: view[key] for key in _KEYS}}),
            json_request("POST", f"{_API}/{view_id}/fields", {"fields": described}),
        ),
    )


def _read(path: Path) -> dict[str, Any]:
    where = f"{FOLDER}/{path.name}"
    try:
        file = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OperatorError(f"{where} is not valid JSON: {error}") from error
    if not isinstance(file, dict) or file.keys() != set(_KEYS):
        raise OperatorError(f"{where} is not a data view; expected a JSON object with {', '.join(_KEYS)}")
    return file
