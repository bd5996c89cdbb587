"""Writes alerts down where Kibana's rules write theirs, so that the dashboard shows them without Kibana's alerting."""

from collections.abc import Sequence
from typing import Any

import elasticsearch

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import alerts_stream_name
from inferlog_ops.query.rules.alert import Alert

_ALREADY_THERE = 409


def record(cluster: Cluster, alerts: Sequence[Alert]) -> int:
    """
    Write a document for each of *alerts*; return how many are new. One that is there already stays as it is.

    Raises:
        OperatorError: If the data stream is not there, or one of the documents is refused.
    """
    if not alerts:
        return 0
    stream = alerts_stream_name(cluster.namespace)
    operations: list[dict[str, Any]] = []
    for alert in alerts:
        operations += [{"create": {"_id": alert.document_id()}}, alert.document()]
    with cluster.client() as client, translate_errors(cluster, f"writing alerts to {stream}"):
        try:
            answer = client.bulk(index=stream, operations=operations, refresh=True, require_data_stream=True)
        except elasticsearch.NotFoundError as error:
            raise _not_provisioned(cluster, stream) from error
    items = [item["create"] for item in answer["items"]]
    refused = [item for item in items if item["status"] >= 300 and item["status"] != _ALREADY_THERE]
    if any(item["error"]["type"] == "index_not_found_exception" for item in refused):
        raise _not_provisioned(cluster, stream)
    if refused:
        raise OperatorError(f"writing alerts to {stream}: {len(refused)} refused: {refused[0]['error']['reason']}")
    return sum(item["status"] < 300 for item in items)


def _not_provisioned(cluster: Cluster, stream: str) -> OperatorError:
    return OperatorError(
        f"{cluster.shown_url} has no data stream {stream}; "
        f"make it with: inferlog provision --namespace {cluster.namespace}"
    )
