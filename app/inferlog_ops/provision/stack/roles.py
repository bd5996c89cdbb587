"""The roles in infra/elasticsearch/roles. The name of a file is the name of its role."""

import hashlib
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from inferlog_ops.core.assets import asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.elasticsearch.definitions import MANAGED_BY

FOLDER = "infra/elasticsearch/roles"
OPERATOR = "inferlog_operator"
RULES = "inferlog_rules"
FLUENTD = "inferlog_fluentd"
DASHBOARDS = "inferlog_dashboards"
REDRIVE = "inferlog_redrive"

_KIND = "role"


def load(name: str) -> dict[str, Any]:
    """
    Load the file of the role *name*.

    Raises:
        OperatorError: If the file is missing or is not a JSON object.
    """
    path = asset_dir(FOLDER) / f"{name}.json"
    try:
        role = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise OperatorError(f"{FOLDER}/{path.name} cannot be read: {error}") from error
    if not isinstance(role, dict):
        raise OperatorError(f"{FOLDER}/{path.name} is not a JSON object")
    return role


def rights(name: str) -> dict[str, Any]:
    """Return the privileges of the role *name*, without its description: the role descriptor of an API key."""
    return {key: value for key, value in load(name).items() if key in {"cluster", "indices", "applications"}}


def stamp(content: Any) -> dict[str, Any]:
    """Return metadata that identifies an object of set-up and its content."""
    digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return {"managed_by": MANAGED_BY, "sha256": digest}


def ensure_role(client: Elasticsearch, name: str) -> ProvisionedObject:
    """
    Create or update the role *name* from its file.

    Raises:
        OperatorError: If the cluster has a role of that name that set-up did not create.
    """
    wanted = load(name)
    metadata = stamp(wanted)
    current = client.options(ignore_status=404).security.get_role(name=name).body.get(name)
    if current is None:
        outcome = ProvisionOutcome.CREATED
    elif current["metadata"] == metadata:
        return ProvisionedObject(name=name, kind=_KIND, outcome=ProvisionOutcome.UNCHANGED)
    elif current["metadata"].get("managed_by") == MANAGED_BY:
        outcome = ProvisionOutcome.UPDATED
    else:
        raise OperatorError(
            f"the cluster has a role {name} that set-up did not create; rename or delete it, then run set-up again"
        )
    client.security.put_role(name=name, metadata=metadata, **wanted)
    return ProvisionedObject(name=name, kind=_KIND, outcome=outcome)
