"""Data views in kibana/data_views: groups of indices, for controls, panels and Discover."""

import json
from pathlib import Path
from typing import Any

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import DesiredObject, Request, Stamp
from inferlog_ops.provision.kibana.identity import OTHER_SPACE, WAY_OUT, build_object_id, qualify_title

FOLDER = "kibana/data_views"

_API = "/api/data_views/data_view"
_KEYS = ("title", "name", "timeFieldName", "allowNoIndex")
_OUR_INDICES = ("logs-inference.", "inferlog-")


def load_all() -> dict[str, dict[str, Any]]:
    """
    Return the content of all files by name, which is the id in the namespace "default".

    Raises:
        OperatorError: If a file is invalid or there is no file.
    """
    files = sorted(find_asset_dir(FOLDER).glob("*.json"))
    if not files:
        raise OperatorError(f"{FOLDER} contains no data view; install inferlog again")
    return {path.stem: _read(path) for path in files}


def build_data_view(base: str, file: dict[str, Any], namespace: str) -> DesiredObject:
    """
    Return the data view *base* with the content *file* for *namespace*.

    A data view has no text for a mark that every version keeps. So its content is compared, and it is ours if it is
    about indices of inferlog.
    """
    view_id, source = build_object_id(base, namespace), f"{FOLDER}/{base}.json"
    view = {
        **file,
        "title": file["title"].replace("*", namespace),
        "name": qualify_title(file["name"], namespace),
    }

    def find_stamp(answer: Any) -> Stamp | None:
        found = answer["data_view"]
        if not found["title"].startswith(_OUR_INDICES):
            return None
        return Stamp.from_content(source, {key: found.get(key) for key in _KEYS})

    return DesiredObject(
        kind="data view",
        name=view_id,
        stamp=Stamp.from_content(source, view),
        read=Request(method="GET", path=f"{_API}/{view_id}"),
        find_stamp=find_stamp,
        # With override, Kibana would first delete any other data view of the same name.
        create=Request(method="POST", path=_API, body={"override": False, "data_view": {**view, "id": view_id}}),
        # Only these keys: replacing the whole view would delete the runtime fields and labels of its users.
        update=lambda: (Request(method="POST", path=f"{_API}/{view_id}", body={"data_view": view}),),
        way_out=WAY_OUT,
        advice={400: f"is there another data view of this name, or {OTHER_SPACE}"},
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
