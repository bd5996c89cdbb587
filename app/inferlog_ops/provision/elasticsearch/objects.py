"""Templates and pipelines: created, updated, and never overwritten if inferlog did not create them."""

from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import reason
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.elasticsearch.definitions import COMPONENT_TEMPLATE, INDEX_TEMPLATE, MANAGED_BY, Definition

JSON = {"accept": "application/json", "content-type": "application/json"}
"""Headers of a request without a client method."""


def ensure_object(client: Elasticsearch, definition: Definition) -> ProvisionedObject:
    """
    Create or update the object of *definition*.

    Compares stamps, not bodies: Elasticsearch normalises a body.

    Raises:
        OperatorError: If the cluster rejects it, or has an object of that name that inferlog did not create.
    """
    current = _current(client, definition)
    if current is None:
        outcome = ProvisionOutcome.CREATED
    elif current.get("_meta") == definition.stamp:
        outcome = ProvisionOutcome.UNCHANGED
    elif (current.get("_meta") or {}).get("managed_by") == MANAGED_BY:
        outcome = ProvisionOutcome.UPDATED
    else:
        raise OperatorError(
            f"the cluster has a {definition.kind.label} {definition.name} that inferlog did not create; "
            "rename or delete it, then provision again"
        )
    if outcome is not ProvisionOutcome.UNCHANGED:
        _put(client, definition)
    return ProvisionedObject(name=definition.name, kind=definition.kind.label, outcome=outcome)


def _current(client: Elasticsearch, definition: Definition) -> dict[str, Any] | None:
    """Return the current object in the cluster, or None."""
    name, kind = definition.name, definition.kind
    try:
        answer = client.perform_request("GET", f"{kind.api}/{name}", headers=JSON).body
    except elasticsearch.NotFoundError:
        return None
    if kind is COMPONENT_TEMPLATE:
        found: dict[str, Any] = answer["component_templates"][0]["component_template"]
    elif kind is INDEX_TEMPLATE:
        found = answer["index_templates"][0]["index_template"]
    else:
        found = answer[name]
    return found


def _put(client: Elasticsearch, definition: Definition) -> None:
    try:
        client.perform_request("PUT", f"{definition.kind.api}/{definition.name}", headers=JSON, body=definition.body)
    except elasticsearch.ApiError as error:
        raise OperatorError(
            f"{definition.source}: the cluster rejected this {definition.kind.label} "
            f"with {error.status_code}: {reason(error)}"
        ) from error
