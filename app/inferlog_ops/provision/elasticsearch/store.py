"""The two kinds of Elasticsearch that events lie in, and waiting for one that is starting."""

from enum import StrEnum

import elasticsearch
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.progress import Say
from inferlog_ops.core.wait import wait_while

_STILL_STARTING = {502, 503, 504}


class Store(StrEnum):
    """A kind of Elasticsearch. The value is the ending of the files that are for this kind only."""

    CLUSTER = "cluster"
    EMBEDDED = "embedded"


def detect_store(client: Elasticsearch) -> Store:
    """
    Tell the embedded engine from a whole Elasticsearch.

    The embedded one consists of the server and ES|QL alone: it has no ingest processor at all, and what it
    lacks besides (zstd, lifecycle, failure store, the data stream API) comes in the same distribution.
    """
    nodes = client.nodes.info(metric="ingest")["nodes"].values()
    processors = {processor["type"] for node in nodes for processor in node["ingest"]["processors"]}
    return Store.CLUSTER if "set" in processors else Store.EMBEDDED


def wait_until_ready(
    cluster: Cluster,
    client: Elasticsearch,
    *,
    timeout_seconds: float,
    on_progress: Say,
) -> None:
    """
    Return once *cluster* can take templates; say each few seconds what it is waiting for.

    Raises:
        OperatorError: If it is not ready after *timeout_seconds*.
        elasticsearch.ApiError: If it answers with anything else than that it is starting, such as 401.
        elasticsearch.SSLError: If its certificate is not trusted, which waiting does not mend.
    """
    wait_while(
        lambda: _what_is_missing(client),
        cluster.shown_url,
        timeout_seconds=timeout_seconds,
        on_progress=on_progress,
        advice="is the address right, and does it run? (inferlog engine status tells of the embedded one)",
    )


def _what_is_missing(client: Elasticsearch) -> str | None:
    """Return why the cluster cannot take templates yet, or None if it can."""
    try:
        health = client.cluster.health(filter_path="status")
    except elasticsearch.SSLError:
        raise
    except elasticsearch.ConnectionTimeout:
        return "it takes connections but does not answer"
    except elasticsearch.ConnectionError as error:
        return f"no connection ({error.message.rpartition(': ')[2]})"
    except elasticsearch.ApiError as error:
        if error.status_code in _STILL_STARTING:
            return f"it answers {error.status_code}"
        raise
    return "its status is red" if health["status"] == "red" else None
