"""The roles in infra/elasticsearch/roles. The name of a file is the name of its role."""

from typing import Any

import orjson
from elasticsearch import Elasticsearch

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import DesiredObject, ProvisionedObject, Request, Stamp, require
from inferlog_ops.provision.elasticsearch.server import ElasticsearchServer

FOLDER = "infra/elasticsearch/roles"
OPERATOR = "inferlog_operator"
RULES = "inferlog_rules"
FLUENTD = "inferlog_fluentd"
DASHBOARDS = "inferlog_dashboards"
REDRIVE = "inferlog_redrive"
SUMMARIZE = "inferlog_summarize"


def load(name: str) -> dict[str, Any]:
    """
    Load the file of the role *name*.

    Raises:
        OperatorError: If the file is missing or is not a JSON object.
    """
    try:
        role = orjson.loads((find_asset_dir(FOLDER) / f"{name}.json").read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise OperatorError(f"{_name_source(name)} cannot be read: {error}") from error
    if not isinstance(role, dict):
        raise OperatorError(f"{_name_source(name)} is not a JSON object")
    return role


def load_rights(name: str) -> dict[str, Any]:
    """Return the privileges of the role *name*, without its description: the role descriptor of an API key."""
    return {key: value for key, value in load(name).items() if key in {"cluster", "indices", "applications"}}


def stamp_rights(name: str) -> Stamp:
    """Return the stamp of an API key with the privileges of the role *name*."""
    return Stamp.from_content(_name_source(name), load_rights(name))


def ensure_role(client: Elasticsearch, name: str) -> ProvisionedObject:
    """
    Create or update the role *name* from its file.

    Raises:
        OperatorError: If the cluster has a role of that name that inferlog did not create.
    """
    role = load(name)
    stamp = Stamp.from_content(_name_source(name), role)
    path = f"/_security/role/{name}"
    put = Request(method="PUT", path=path, body={**role, "metadata": stamp.to_json()})
    return require(
        ElasticsearchServer(client),
        DesiredObject(
            kind="role",
            name=name,
            stamp=stamp,
            read=Request(method="GET", path=path),
            find_stamp=lambda answer: Stamp.parse(answer[name].get("metadata")),
            create=put,
            update=lambda: (put,),
        ),
    )


def _name_source(name: str) -> str:
    return f"{FOLDER}/{name}.json"
