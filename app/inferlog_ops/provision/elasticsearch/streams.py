"""Makes the data streams, and gives the fields of newer templates to those that exist."""

from collections.abc import Mapping
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import reason
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import Outcome, Provisioned
from inferlog_ops.provision.elasticsearch.definitions import MANAGED_BY, Definition
from inferlog_ops.provision.elasticsearch.objects import JSON
from inferlog_ops.provision.elasticsearch.store import Store

_KIND = "data stream"


def ensure_stream(
    client: Elasticsearch, store: Store, name: str, template: Definition, upkeep: Mapping[str, Any] | None = None
) -> Provisioned:
    """
    Create the data stream *name*, or put the fields of *template* on all its indices.

    Settings that an index takes at its creation only, such as the sort order, come with its next rollover. How long
    data stays is a matter of the stream, which takes that from its template at its creation only: *upkeep*, the
    template's ``lifecycle`` and ``data_stream_options``, is put on one that exists.

    Raises:
        OperatorError: If the cluster refuses it, or if *name* was made without inferlog's templates.
    """
    mappings = _mappings(client, name)
    if mappings is None:
        _create(client, store, name, template)
        return Provisioned(name=name, kind=_KIND, outcome=Outcome.CREATED)
    stamps = [mapping.get("_meta") or {} for mapping in mappings.values()]
    if name in mappings or any(stamp.get("managed_by") != MANAGED_BY for stamp in stamps):
        raise OperatorError(
            f"{name} exists and was not made by inferlog's templates, so its fields have other types; "
            "delete it or give another --namespace, then provision again"
        )
    if all(stamp == template.stamp for stamp in stamps):
        return Provisioned(name=name, kind=_KIND, outcome=Outcome.UNCHANGED)
    if upkeep is not None:
        _put_upkeep(client, name, upkeep)
    # Last, for it brings the stamp by which the next run finds nothing to do.
    _put_new_fields(client, name, template)
    return Provisioned(name=name, kind=_KIND, outcome=Outcome.UPDATED)


def _mappings(client: Elasticsearch, name: str) -> dict[str, dict[str, Any]] | None:
    """Return the mapping of each index behind *name* (a plain index stands behind its own name), or None."""
    try:
        answer = client.indices.get_mapping(index=name)
    except elasticsearch.NotFoundError:
        return None
    return {index: found["mappings"] for index, found in answer.body.items()}


def _create(client: Elasticsearch, store: Store, name: str, template: Definition) -> None:
    try:
        if store is Store.CLUSTER:
            client.indices.create_data_stream(name=name)
        else:
            # The embedded engine has no call that makes a stream, but the first write makes it,
            # also when the document is then refused for want of a @timestamp.
            client.bulk(index=name, operations=[{"create": {}}, {}], require_data_stream=True)
    except elasticsearch.ApiError as error:
        raise OperatorError(
            f"{template.source}: the cluster refused the data stream {name} with {error.status_code}: {reason(error)}"
        ) from error
    if _mappings(client, name) is None:
        raise OperatorError(
            f"the cluster did not create the data stream {name}: its template {template.name} "
            "does not match; is there another template for logs-inference.* of a higher priority?"
        )


def _put_upkeep(client: Elasticsearch, name: str, upkeep: Mapping[str, Any]) -> None:
    for part, body in (("_lifecycle", upkeep["lifecycle"]), ("_options", upkeep["data_stream_options"])):
        client.perform_request("PUT", f"/_data_stream/{name}/{part}", headers=JSON, body=body)


def _put_new_fields(client: Elasticsearch, name: str, template: Definition) -> None:
    wanted = client.indices.simulate_index_template(name=name)["template"]["mappings"]
    # The cluster's own marker of a data stream's mapping; it is there already and may not be sent.
    wanted.pop("_data_stream_timestamp", None)
    try:
        client.indices.put_mapping(index=name, **_as_arguments(wanted))
    except elasticsearch.ApiError as error:
        raise OperatorError(
            f"{template.source}: the cluster refused its new fields on the data stream {name} "
            f"with {error.status_code}: {reason(error)}; a field that exists keeps its type: "
            "name the changed field anew, or begin a new --namespace"
        ) from error


def _as_arguments(mapping: dict[str, Any]) -> dict[str, Any]:
    """Spell a mapping as the client's keyword arguments: it names ``_meta`` without the underscore."""
    return {key.removeprefix("_"): value for key, value in mapping.items()}
