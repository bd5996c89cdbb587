"""Makes templates and pipelines what their files say, and leaves those of others alone."""

from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import reason
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import Outcome, Provisioned
from inferlog_ops.provision.elasticsearch.definitions import COMPONENT_TEMPLATE, INDEX_TEMPLATE, MANAGED_BY, Definition

JSON = {"accept": "application/json", "content-type": "application/json"}
"""Headers of a request for which the client has no method."""


def ensure_object(client: Elasticsearch, definition: Definition) -> Provisioned:
    """
    Create or update the object of *definition*.

    Elasticsearch rewrites what it is given, so not the bodies are compared but the stamps.

    Raises:
        OperatorError: If the cluster refuses it, or has an object of that name which inferlog did not make.
    """
    current = _current(client, definition)
    if current is None:
        outcome = Outcome.CREATED
    elif current.get("_meta") == definition.stamp:
        outcome = Outcome.UNCHANGED
    elif (current.get("_meta") or {}).get("managed_by") == MANAGED_BY:
        outcome = Outcome.UPDATED
    else:
        raise OperatorError(
            f"the cluster has a {definition.kind.label} {definition.name} that inferlog did not make; "
            "rename or delete it, then provision again"
        )
    if outcome is not Outcome.UNCHANGED:
        _put(client, definition)
    return Provisioned(name=definition.name, kind=definition.kind.label, outcome=outcome)


def _current(client: Elasticsearch, definition: Definition) -> dict[str, Any] | None:
    """Return the object as the cluster has it, or None."""
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
            f"{definition.source}: the cluster refused this {definition.kind.label} "
            f"with {error.status_code}: {reason(error)}"
        ) from error
