"""Finds what an index knows of one correlation id."""

from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.provisioning.namespace import stream_name

_MOST = 1_000


def events(client: Elasticsearch, namespace: str, correlation_id: str) -> list[dict[str, Any]]:
    """Return the events of the chain, by time; 1 000 at most."""
    return _found(client, stream_name("events", namespace), correlation_id)


def log_lines(client: Elasticsearch, namespace: str, correlation_id: str) -> list[dict[str, Any]]:
    """Return the log lines that services wrote during the chain, by time; 1 000 at most."""
    return _found(client, stream_name("app", namespace), correlation_id)


def _found(client: Elasticsearch, stream: str, correlation_id: str) -> list[dict[str, Any]]:
    answer = client.search(
        index=stream,
        query={"term": {"correlation_id": correlation_id}},
        sort=[{"@timestamp": "asc"}],
        size=_MOST,
    )
    return [hit["_source"] for hit in answer["hits"]["hits"]]
