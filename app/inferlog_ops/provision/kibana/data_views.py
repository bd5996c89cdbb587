"""The data views in kibana/data_views: which indices belong together, for the controls and for Discover."""

import json
from pathlib import Path
from typing import Any

from inferlog_ops.core.assets import asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.kibana.ids import object_id, shown_name
from inferlog_ops.provision.kibana.mark import digest_in, digest_of, with_mark
from inferlog_ops.provision.kibana.wanted import Wanted, json_request

FOLDER = "kibana/data_views"
KIND = "data view"

_API = "/api/data_views/data_view"
_KEYS = ("title", "name", "timeFieldName", "allowNoIndex")


def load_all() -> dict[str, dict[str, Any]]:
    """
    Return the contents of all files by name, which is the object's id for the namespace "default".

    Raises:
        OperatorError: If a file is no data view of ours, or if there is none at all.
    """
    files = sorted(asset_dir(FOLDER).glob("*.json"))
    if not files:
        raise OperatorError(f"{FOLDER} holds no data view; install inferlog again")
    return {path.stem: _read(path) for path in files}


def wanted(base: str, file: dict[str, Any], namespace: str) -> Wanted:
    """Return the data view *base*, which *file* describes, for *namespace*."""
    view_id, source = object_id(base, namespace), f"{FOLDER}/{base}.json"
    view = {
        **file,
        "id": view_id,
        "title": file["title"].replace("*", namespace),
        "name": shown_name(file["name"], namespace),
    }
    digest = digest_of(view)
    time_field = file["timeFieldName"]
    # A data view has no description; the one of its time field is the text nearest to that.
    described = {time_field: {"customDescription": with_mark("Time of the document.", source, digest)}}
    body = {
        # With true Kibana would first delete any other data view of the same name.
        "override": False,
        "data_view": {**view, "fieldAttrs": described},
    }

    def digest_found(answer: Any) -> str | None:
        attributes = answer["data_view"].get("fieldAttrs", {}).get(time_field, {})
        return digest_in(attributes.get("customDescription"))

    return Wanted(
        kind=KIND,
        id=view_id,
        source=source,
        digest=digest,
        body=body,
        read=f"{_API}/{view_id}",
        digest_in=digest_found,
        create=json_request("POST", _API, body),
        # Replaced as a whole it would lose the runtime fields and labels that its users gave it.
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
        raise OperatorError(f"{where} is no JSON: {error}") from error
    if not isinstance(file, dict) or file.keys() != set(_KEYS):
        raise OperatorError(f"{where} is no data view; expected a JSON object with {', '.join(_KEYS)}")
    return file
