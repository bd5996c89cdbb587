"""Documents indexed directly into the streams of an unused namespace."""

from collections.abc import Iterable
from itertools import islice
from typing import Any
from uuid import uuid4

import orjson

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster
from tests.golden import Golden, build_golden


def create_fresh_cluster(engine_url: str) -> Cluster:
    """Return a cluster with all streams and no documents."""
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    return cluster


def index(cluster: Cluster, stream: str, documents: Iterable[dict[str, Any]]) -> None:
    """Index *documents* into the stream "events", "health" or "app", and refresh it."""
    operations: list[dict[str, Any]] = []
    for document in documents:
        operations += [{"create": {"_id": document["event"]["id"]}}, document]
    name = f"logs-inference.{stream}-{cluster.namespace}"
    with cluster.build_client() as client:
        taken = client.bulk(index=name, operations=operations, refresh=True, require_data_stream=True)
    assert not taken["errors"], taken


def index_parts(cluster: Cluster, stream: str, *parts: Iterable[dict[str, Any]]) -> None:
    """Index each of *parts* into a backing index of its own, which takes an id of an earlier part again."""
    for number, part in enumerate(parts):
        if number:
            roll_over(cluster, stream)
        index(cluster, stream, part)


def roll_over(cluster: Cluster, stream: str) -> None:
    """Begin another backing index of the stream."""
    with cluster.build_client() as client:
        client.indices.rollover(alias=f"logs-inference.{stream}-{cluster.namespace}")


def index_golden(cluster: Cluster) -> Golden:
    """Index the golden documents, some of the events twice or three times, and return them."""
    documents = build_golden()
    index(cluster, "health", documents.heartbeats)
    index(cluster, "app", documents.log_lines)
    index_parts(cluster, "events", documents.first, documents.again, documents.again_later)
    return documents


def index_many(cluster: Cluster, stream: str, documents: Iterable[dict[str, Any]]) -> None:
    """Index many *documents* into the stream, with ids by the store."""
    name = f"logs-inference.{stream}-{cluster.namespace}"
    waiting = iter(documents)
    with cluster.build_client(request_timeout_seconds=120) as client:
        while bulk := list(islice(waiting, 5_000)):
            # Serialized with orjson, which is several times faster than the client.
            lines: list[Any] = [line for document in bulk for line in (b'{"create":{}}', orjson.dumps(document))]
            assert not client.bulk(index=name, operations=lines)["errors"]
        client.indices.refresh(index=name)
