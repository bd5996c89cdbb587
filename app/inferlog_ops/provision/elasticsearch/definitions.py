"""The objects that should be in the cluster, read from infra/elasticsearch. A file is named as its object."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from inferlog_ops.core.assets import asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch.retention import DEFAULT_RETENTION, with_retention
from inferlog_ops.provision.elasticsearch.store import Store

FOLDER = "infra/elasticsearch"
MANAGED_BY = "inferlog"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """
    A kind of object.

    Attributes:
        label: As it is shown to people.
        folder: Folder of its files, beneath `FOLDER`.
        api: First part of its address in the cluster.
    """

    label: str
    folder: str
    api: str


PIPELINE = Kind(label="pipeline", folder="pipelines", api="/_ingest/pipeline")
COMPONENT_TEMPLATE = Kind(label="component template", folder="component_templates", api="/_component_template")
INDEX_TEMPLATE = Kind(label="index template", folder="index_templates", api="/_index_template")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """
    One object as it should be.

    Attributes:
        kind: Which kind of object it is.
        name: Its name in the cluster.
        source: The file that says so, relative to the repository's root.
        stamp: What its ``_meta`` holds: who made it, from which file, and the hash of all it is made of.
        body: What to put into the cluster, stamp included.
    """

    kind: Kind
    name: str
    source: str
    stamp: dict[str, str]
    body: dict[str, Any]


def load_definitions(store: Store, retention: str = DEFAULT_RETENTION) -> list[Definition]:
    """
    Return all objects for *store*, in the order in which they have to be made.

    A file whose name ends in the name of a kind of store is for that kind only. What the files say of how long data
    stays is taken for *retention*.

    Raises:
        OperatorError: If a file is missing or is no JSON object.
    """
    root = asset_dir(FOLDER)
    pipelines = [_definition(PIPELINE, path) for path in _files(root, PIPELINE, store)]
    components = [_component(path, retention) for path in _files(root, COMPONENT_TEMPLATE, store)]
    known = {component.name: component for component in components}
    templates = [_index_template(path, known) for path in _files(root, INDEX_TEMPLATE, store)]
    return [*pipelines, *components, *templates]


def upkeep_in(definitions: Iterable[Definition]) -> dict[str, Any] | None:
    """Return the template that says how long the data of all streams stays; None for a store that keeps it for ever."""
    templates = (each.body["template"] for each in definitions if each.kind is COMPONENT_TEMPLATE)
    return next((template for template in templates if "lifecycle" in template), None)


def _files(root: Path, kind: Kind, store: Store) -> Iterable[Path]:
    files = sorted((root / kind.folder).glob("*.json"))
    if not files:
        raise OperatorError(f"{FOLDER}/{kind.folder} holds no file; install inferlog again")
    others = tuple(f"-{other}" for other in Store if other is not store)
    return (path for path in files if not path.stem.endswith(others))


def _component(path: Path, retention: str) -> Definition:
    content = path.read_bytes()
    body = _parsed(path, content)
    kept = with_retention(body, retention)
    if kept != body:
        content = orjson.dumps(kept)
    return _stamped(COMPONENT_TEMPLATE, path, kept, hashlib.sha256(content).hexdigest())


def _definition(kind: Kind, path: Path) -> Definition:
    content = path.read_bytes()
    return _stamped(kind, path, _parsed(path, content), hashlib.sha256(content).hexdigest())


def _index_template(path: Path, components: dict[str, Definition]) -> Definition:
    """
    Return the index template of *path*, its stamp also in the mappings of the indices made by it.

    By the stamp in its mappings a data stream tells whether it knows the newest fields, so the hash is over
    the template and all components it is composed of.
    """
    content = path.read_bytes()
    body = _parsed(path, content)
    optional = body.get("ignore_missing_component_templates", [])
    if missing := [name for name in body["composed_of"] if name not in components and name not in optional]:
        raise OperatorError(f"{_source(path)} is composed of {', '.join(missing)}, of which there is no file")
    sha256 = hashlib.sha256(content)
    for name in body["composed_of"]:
        if name in components:
            sha256.update(components[name].stamp["sha256"].encode())
    definition = _stamped(INDEX_TEMPLATE, path, body, sha256.hexdigest())
    definition.body.setdefault("template", {}).setdefault("mappings", {})["_meta"] = definition.stamp
    return definition


def _stamped(kind: Kind, path: Path, body: dict[str, Any], sha256: str) -> Definition:
    stamp = {"managed_by": MANAGED_BY, "source": _source(path), "sha256": sha256}
    return Definition(kind=kind, name=path.stem, source=stamp["source"], stamp=stamp, body={**body, "_meta": stamp})


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise OperatorError(f"{_source(path)} is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise OperatorError(f"{_source(path)} holds no JSON object")
    return body


def _source(path: Path) -> str:
    return f"{FOLDER}/{path.parent.name}/{path.name}"
