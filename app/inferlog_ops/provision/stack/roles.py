"""The roles in infra/elasticsearch/roles: who may do what. A file is named as its role."""

import hashlib
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from inferlog_ops.core.assets import asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import Outcome, Provisioned
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
    Return the role *name* as its file has it.

    Raises:
        OperatorError: If there is no such file, or it is no JSON object.
    """
    path = asset_dir(FOLDER) / f"{name}.json"
    try:
        role = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise OperatorError(f"{FOLDER}/{path.name} cannot be read: {error}") from error
    if not isinstance(role, dict):
        raise OperatorError(f"{FOLDER}/{path.name} holds no JSON object")
    return role


def rights(name: str) -> dict[str, Any]:
    """Return what the role *name* allows, without what is said about it: this is what an API key is given."""
    return {key: value for key, value in load(name).items() if key in {"cluster", "indices", "applications"}}


def stamp(content: Any) -> dict[str, Any]:
    """Return metadata by which an object of ours is known again, and from which content it was made."""
    digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return {"managed_by": MANAGED_BY, "sha256": digest}


def ensure_role(client: Elasticsearch, name: str) -> Provisioned:
    """
    Make the role *name* what its file says.

    Raises:
        OperatorError: If the cluster has one of that name which set-up did not make.
    """
    wanted = load(name)
    metadata = stamp(wanted)
    current = client.options(ignore_status=404).security.get_role(name=name).body.get(name)
    if current is None:
        outcome = Outcome.CREATED
    elif current["metadata"] == metadata:
        return Provisioned(name=name, kind=_KIND, outcome=Outcome.UNCHANGED)
    elif current["metadata"].get("managed_by") == MANAGED_BY:
        outcome = Outcome.UPDATED
    else:
        raise OperatorError(
            f"the cluster has a role {name} that set-up did not make; rename or delete it, then run set-up again"
        )
    client.security.put_role(name=name, metadata=metadata, **wanted)
    return Provisioned(name=name, kind=_KIND, outcome=outcome)
