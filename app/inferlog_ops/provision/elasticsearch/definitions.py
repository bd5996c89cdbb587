"""Desired objects of the cluster, read from infra/elasticsearch. The name of a file is the name of its object."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import DesiredObject, Request, Stamp
from inferlog_ops.provision.elasticsearch.retention import (
    DEFAULT_RETENTION,
    DEFAULT_SUMMARIES_RETENTION,
    EVENTS_TEMPLATE,
    SUMMARIES_TEMPLATE,
    set_retention,
)
from inferlog_ops.provision.elasticsearch.server import Deployment

FOLDER = "infra/elasticsearch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """
    Kind of an object.

    Attributes:
        label: Name in messages.
        folder: Folder of its files, below `FOLDER`.
        api: Path prefix of its API.
        find: Returns the object of a name in a response of its API.
    """

    label: str
    folder: str
    api: str
    find: Callable[[Any, str], dict[str, Any]]


PIPELINE = Kind(label="pipeline", folder="pipelines", api="/_ingest/pipeline", find=lambda answer, name: answer[name])
COMPONENT_TEMPLATE = Kind(
    label="component template",
    folder="component_templates",
    api="/_component_template",
    find=lambda answer, _name: answer["component_templates"][0]["component_template"],
)
INDEX_TEMPLATE = Kind(
    label="index template",
    folder="index_templates",
    api="/_index_template",
    find=lambda answer, _name: answer["index_templates"][0]["index_template"],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """
    A desired object.

    Attributes:
        kind: Its kind.
        name: Its name in the cluster.
        stamp: Its stamp, in ``_meta``.
        body: Request body, including the stamp.
    """

    kind: Kind
    name: str
    stamp: Stamp
    body: dict[str, Any]

    def to_desired(self) -> DesiredObject:
        """Return the definition as a desired object, with the requests that read, create and update it."""
        path = f"{self.kind.api}/{self.name}"
        put = Request(method="PUT", path=path, body=self.body)
        return DesiredObject(
            kind=self.kind.label,
            name=self.name,
            stamp=self.stamp,
            read=Request(method="GET", path=path),
            find_stamp=lambda answer: Stamp.parse(self.kind.find(answer, self.name).get("_meta")),
            create=put,
            update=lambda: (put,),
        )


def load_definitions(
    deployment: Deployment,
    retention: str = DEFAULT_RETENTION,
    summaries_retention: str = DEFAULT_SUMMARIES_RETENTION,
) -> list[Definition]:
    """
    Return all objects for *deployment*, in order of creation, with the lifetime of events and of summaries.

    A file whose name ends in the name of a deployment is only for that deployment.

    Raises:
        OperatorError: If a file is missing or is not a JSON object.
    """
    root = find_asset_dir(FOLDER)
    pipelines = [_read_definition(PIPELINE, path) for path in _list_files(root, PIPELINE, deployment)]
    retentions = {EVENTS_TEMPLATE: retention, SUMMARIES_TEMPLATE: summaries_retention}
    components = [
        _read_component(path, retentions.get(path.stem)) for path in _list_files(root, COMPONENT_TEMPLATE, deployment)
    ]
    known = {component.name: component for component in components}
    templates = [_read_index_template(path, known) for path in _list_files(root, INDEX_TEMPLATE, deployment)]
    return [*pipelines, *components, *templates]


def find_lifecycle(definitions: Iterable[Definition], template: Definition) -> dict[str, Any] | None:
    """Return the component of *template* that has the lifecycle; None for a deployment that keeps data forever."""
    names = template.body["composed_of"]
    components = (each.body["template"] for each in definitions if each.name in names)
    return next((component for component in components if "lifecycle" in component), None)


def _list_files(root: Path, kind: Kind, deployment: Deployment) -> Iterable[Path]:
    files = sorted((root / kind.folder).glob("*.json"))
    if not files:
        raise OperatorError(f"{FOLDER}/{kind.folder} contains no file; install inferlog again")
    others = tuple(f"-{other}" for other in Deployment if other is not deployment)
    return (path for path in files if not path.stem.endswith(others))


def _read_component(path: Path, retention: str | None) -> Definition:
    content = path.read_bytes()
    body = _parse(path, content)
    kept = set_retention(body, retention) if retention else body
    if kept != body:
        content = orjson.dumps(kept)
    return _stamp(COMPONENT_TEMPLATE, path, kept, hashlib.sha256(content).hexdigest())


def _read_definition(kind: Kind, path: Path) -> Definition:
    content = path.read_bytes()
    return _stamp(kind, path, _parse(path, content), hashlib.sha256(content).hexdigest())


def _read_index_template(path: Path, components: dict[str, Definition]) -> Definition:
    """
    Return the index template in *path*, with its stamp also in the mappings of its indices.

    The stamp in its mappings shows whether a data stream has the newest fields, so the hash covers the template and
    all of its components.
    """
    content = path.read_bytes()
    body = _parse(path, content)
    optional = body.get("ignore_missing_component_templates", [])
    if missing := [name for name in body["composed_of"] if name not in components and name not in optional]:
        raise OperatorError(f"{_name_source(path)} is composed of {', '.join(missing)}, which has no file")
    sha256 = hashlib.sha256(content)
    for name in body["composed_of"]:
        if name in components:
            sha256.update(components[name].stamp.sha256.encode())
    definition = _stamp(INDEX_TEMPLATE, path, body, sha256.hexdigest())
    definition.body.setdefault("template", {}).setdefault("mappings", {})["_meta"] = definition.stamp.to_json()
    return definition


def _stamp(kind: Kind, path: Path, body: dict[str, Any], sha256: str) -> Definition:
    stamp = Stamp(source=_name_source(path), sha256=sha256)
    return Definition(kind=kind, name=path.stem, stamp=stamp, body={**body, "_meta": stamp.to_json()})


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise OperatorError(f"{_name_source(path)} is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise OperatorError(f"{_name_source(path)} is not a JSON object")
    return body


def _name_source(path: Path) -> str:
    return f"{FOLDER}/{path.parent.name}/{path.name}"
