"""Data streams: created, or updated with the fields of newer templates."""

from collections.abc import Mapping
from typing import Any

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import DesiredObject, ProvisionedObject, ProvisionOutcome, Request, Stamp, require
from inferlog_ops.provision.elasticsearch.definitions import Definition
from inferlog_ops.provision.elasticsearch.server import Deployment, ElasticsearchServer

_KIND = "data stream"


def ensure_stream(
    server: ElasticsearchServer,
    deployment: Deployment,
    name: str,
    template: Definition,
    lifecycle: Mapping[str, Any] | None = None,
) -> ProvisionedObject:
    """
    Create the data stream *name*, or put the fields of *template* on all its indices.

    Settings that an index reads only at its creation, such as the sort order, apply after the next rollover. A stream
    reads the retention from its template only at its creation, so *lifecycle*, the template's ``lifecycle`` and
    ``data_stream_options`` if any, is also set on an existing stream.

    Raises:
        OperatorError: If the cluster rejects it, or if *name* was created without inferlog's templates.
    """
    read = Request(method="GET", path=f"/{name}/_mapping")

    def find_stamp(answer: dict[str, Any]) -> Stamp | None:
        stamps = [Stamp.parse(index["mappings"].get("_meta")) for index in answer.values()]
        if name in answer or None in stamps:  # a plain index, or created without our templates
            return None
        outdated = (stamp for stamp in stamps if stamp and not template.stamp.matches(stamp))
        return next(outdated, template.stamp)

    done = require(
        server,
        DesiredObject(
            kind=_KIND,
            name=name,
            stamp=template.stamp,
            read=read,
            find_stamp=find_stamp,
            create=_build_creation(deployment, name),
            # The mapping last: it contains the stamp that makes the next run skip this stream.
            update=lambda: (*_build_lifecycle_updates(name, lifecycle), _build_mapping_update(server, name)),
            way_out="its fields have other types: delete it or give another --namespace",
            advice={400: "a field that exists keeps its type: rename the changed field, or use a new --namespace"},
        ),
    )
    if done.outcome is ProvisionOutcome.CREATED and server.send(read).status == 404:
        raise OperatorError(
            f"the cluster did not create the data stream {name}: its template {template.name} "
            "does not match; is there another template for logs-inference.* of a higher priority?"
        )
    return done


def _build_creation(deployment: Deployment, name: str) -> Request:
    if deployment is Deployment.CLUSTER:
        return Request(method="PUT", path=f"/_data_stream/{name}")
    # The embedded engine has no API that creates a stream, but the first write creates it,
    # even though this document is then rejected because it has no @timestamp.
    return Request(method="POST", path=f"/{name}/_bulk?require_data_stream=true", body=[{"create": {}}, {}])


def _build_lifecycle_updates(name: str, lifecycle: Mapping[str, Any] | None) -> list[Request]:
    parts = {"_lifecycle": "lifecycle", "_options": "data_stream_options"}
    return [
        Request(method="PUT", path=f"/_data_stream/{name}/{path}", body=lifecycle[part])
        for path, part in parts.items()
        if lifecycle and part in lifecycle
    ]


def _build_mapping_update(server: ElasticsearchServer, name: str) -> Request:
    simulated = server.send(Request(method="POST", path=f"/_index_template/_simulate_index/{name}")).json
    mappings = simulated["template"]["mappings"]
    # The cluster's own marker in the mapping of a data stream; it cannot be sent.
    mappings.pop("_data_stream_timestamp", None)
    return Request(method="PUT", path=f"/{name}/_mapping", body=mappings)
