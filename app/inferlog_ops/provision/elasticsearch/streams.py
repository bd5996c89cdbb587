"""Data streams: created, or updated with the fields of newer templates."""

from collections.abc import Mapping
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import reason
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.elasticsearch.definitions import MANAGED_BY, Definition
from inferlog_ops.provision.elasticsearch.deployment import Deployment
from inferlog_ops.provision.elasticsearch.objects import JSON

_KIND = "data stream"


def ensure_stream(
    client: Elasticsearch,
    deployment: Deployment,
    name: str,
    template: Definition,
    lifecycle: Mapping[str, Any] | None = None,
) -> ProvisionedObject:
    """
    Create the data stream *name*, or put the fields of *template* on all its indices.

    Settings that an index reads only at its creation, such as the sort order, apply after the next rollover. A stream
    reads the retention from its template only at its creation, so *lifecycle*, the template's ``lifecycle`` and
    ``data_stream_options``, is also set on an existing stream.

    Raises:
        OperatorError: If the cluster rejects it, or if *name* was created without inferlog's templates.
    """
    mappings = _mappings(client, name)
    if mappings is None:
        _create(client, deployment, name, template)
        return ProvisionedObject(name=name, kind=_KIND, outcome=ProvisionOutcome.CREATED)
    stamps = [mapping.get("_meta") or {} for mapping in mappings.values()]
    if name in mappings or any(stamp.get("managed_by") != MANAGED_BY for stamp in stamps):
        raise OperatorError(
            f"{name} exists and was not created by inferlog's templates, so its fields have other types; "
            "delete it or give another --namespace, then provision again"
        )
    if all(stamp == template.stamp for stamp in stamps):
        return ProvisionedObject(name=name, kind=_KIND, outcome=ProvisionOutcome.UNCHANGED)
    if lifecycle is not None:
        _put_lifecycle(client, name, lifecycle)
    # Last, because it writes the stamp that makes the next run skip this stream.
    _put_new_fields(client, name, template)
    return ProvisionedObject(name=name, kind=_KIND, outcome=ProvisionOutcome.UPDATED)


def _mappings(client: Elasticsearch, name: str) -> dict[str, dict[str, Any]] | None:
    """Return the mapping of each index behind *name* (for a plain index its own), or None."""
    try:
        answer = client.indices.get_mapping(index=name)
    except elasticsearch.NotFoundError:
        return None
    return {index: found["mappings"] for index, found in answer.body.items()}


def _create(client: Elasticsearch, deployment: Deployment, name: str, template: Definition) -> None:
    try:
        if deployment is Deployment.CLUSTER:
            client.indices.create_data_stream(name=name)
        else:
            # The embedded engine has no API that creates a stream, but the first write creates it,
            # even though this document is then rejected because it has no @timestamp.
            client.bulk(index=name, operations=[{"create": {}}, {}], require_data_stream=True)
    except elasticsearch.ApiError as error:
        raise OperatorError(
            f"{template.source}: the cluster rejected the data stream {name} with {error.status_code}: {reason(error)}"
        ) from error
    if _mappings(client, name) is None:
        raise OperatorError(
            f"the cluster did not create the data stream {name}: its template {template.name} "
            "does not match; is there another template for logs-inference.* of a higher priority?"
        )


def _put_lifecycle(client: Elasticsearch, name: str, lifecycle: Mapping[str, Any]) -> None:
    for part, body in (("_lifecycle", lifecycle["lifecycle"]), ("_options", lifecycle["data_stream_options"])):
        client.perform_request("PUT", f"/_data_stream/{name}/{part}", headers=JSON, body=body)


def _put_new_fields(client: Elasticsearch, name: str, template: Definition) -> None:
    wanted = client.indices.simulate_index_template(name=name)["template"]["mappings"]
    # The cluster's own marker in the mapping of a data stream; it cannot be sent.
    wanted.pop("_data_stream_timestamp", None)
    try:
        client.indices.put_mapping(index=name, **_as_arguments(wanted))
    except elasticsearch.ApiError as error:
        raise OperatorError(
            f"{template.source}: the cluster rejected its new fields on the data stream {name} "
            f"with {error.status_code}: {reason(error)}; a field that exists keeps its type: "
            "rename the changed field, or use a new --namespace"
        ) from error


def _as_arguments(mapping: dict[str, Any]) -> dict[str, Any]:
    """Convert a mapping to keyword arguments of the client, in which ``_meta`` has no underscore."""
    return {key.removeprefix("_"): value for key, value in mapping.items()}
