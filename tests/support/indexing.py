"""Documents put straight into the streams of a namespace that nobody else uses."""

from collections.abc import Iterable
from itertools import islice
from typing import Any
from uuid import uuid4

import orjson

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster


def fresh(engine_url: str) -> Cluster:
    """Return a cluster with every stream in place and no document in them."""
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    return cluster


def index(cluster: Cluster, stream: str, documents: Iterable[dict[str, Any]]) -> None:
    """Put *documents* into the stream "events", "health" or "app", to be found at once."""
    operations: list[dict[str, Any]] = []
    for document in documents:
        operations += [{"create": {"_id": document["event"]["id"]}}, document]
    name = f"logs-inference.{stream}-{cluster.namespace}"
    with cluster.client() as client:
        taken = client.bulk(index=name, operations=operations, refresh=True, require_data_stream=True)
    assert not taken["errors"], taken


def index_many(cluster: Cluster, stream: str, documents: Iterable[dict[str, Any]]) -> None:
    """Put tens of thousands of *documents* into the stream, under ids that the store makes."""
    name = f"logs-inference.{stream}-{cluster.namespace}"
    waiting = iter(documents)
    with cluster.client(request_timeout_seconds=120) as client:
        while bulk := list(islice(waiting, 5_000)):
            # Made into JSON by orjson: the client's own way takes several times as long.
            lines = [line for document in bulk for line in (b'{"create":{}}', orjson.dumps(document))]
            assert not client.bulk(index=name, operations=lines)["errors"]
        client.indices.refresh(index=name)
