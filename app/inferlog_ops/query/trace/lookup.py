"""Finds what an index knows of one correlation id."""

from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.streams import stream_name

_MOST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    The documents of a chain in one stream.

    Attributes:
        documents: The earliest, by time; 1 000 at most.
        missing: How many more the stream has.
    """

    documents: list[dict[str, Any]]
    missing: int


def events(client: Elasticsearch, namespace: str, correlation_id: str) -> Found:
    """Return the events of the chain."""
    return _found(client, stream_name("events", namespace), correlation_id)


def log_lines(client: Elasticsearch, namespace: str, correlation_id: str) -> Found:
    """Return the log lines that services wrote during the chain."""
    return _found(client, stream_name("app", namespace), correlation_id)


def _found(client: Elasticsearch, stream: str, correlation_id: str) -> Found:
    answer = client.search(
        index=stream,
        query={"term": {"correlation_id": correlation_id}},
        sort=[{"@timestamp": "asc"}],
        size=_MOST,
        track_total_hits=True,
    )
    documents = [hit["_source"] for hit in answer["hits"]["hits"]]
    return Found(documents=documents, missing=int(answer["hits"]["total"]["value"]) - len(documents))
