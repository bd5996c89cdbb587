"""Elasticsearch as a server of desired objects: its two deployments, the wait for its start, and its requests."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, find_reason
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.core.wait import wait_while
from inferlog_ops.provision.desired import Request

_STILL_STARTING = {502, 503, 504}


class Deployment(StrEnum):
    """A deployment of Elasticsearch. The value is the suffix of files that are only for this deployment."""

    CLUSTER = "cluster"
    EMBEDDED = "embedded"


def detect_deployment(client: Elasticsearch) -> Deployment:
    """
    Return whether the cluster is the embedded engine or a full Elasticsearch.

    The embedded engine consists only of the server and ES|QL: it has no ingest processor. Everything else it lacks
    (zstd, lifecycle, failure store, the data stream API) is in the same distribution as the processors.
    """
    nodes = client.nodes.info(metric="ingest")["nodes"].values()
    processors = {processor["type"] for node in nodes for processor in node["ingest"]["processors"]}
    return Deployment.CLUSTER if "set" in processors else Deployment.EMBEDDED


def wait_until_ready(
    cluster: Cluster,
    client: Elasticsearch,
    *,
    timeout_seconds: float,
    on_progress: ReportProgress,
) -> None:
    """
    Wait until *cluster* accepts templates; report progress every few seconds.

    Raises:
        OperatorError: If it is not ready after *timeout_seconds*.
        elasticsearch.ApiError: If it answers with an error other than that it is starting, such as 401.
        elasticsearch.SSLError: If its certificate is not trusted, which waiting does not fix.
    """
    wait_while(
        lambda: _find_missing(client),
        cluster.shown_url,
        timeout_seconds=timeout_seconds,
        on_progress=on_progress,
        advice="is the address right, and is it running? Check the embedded engine with: inferlog engine status",
    )


def _find_missing(client: Elasticsearch) -> str | None:
    """Return why the cluster does not accept templates yet; None if it does."""
    try:
        health = client.cluster.health(filter_path="status")
    except elasticsearch.SSLError:
        raise
    except elasticsearch.ConnectionTimeout:
        return "it accepts connections but does not answer"
    except elasticsearch.ConnectionError as error:
        return f"no connection ({error.message.rpartition(': ')[2]})"
    except elasticsearch.ApiError as error:
        if error.status_code in _STILL_STARTING:
            return f"it answers {error.status_code}"
        raise
    return "its status is red" if health["status"] == "red" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticsearchResponse:
    status: int
    json: Any
    message: str = ""


class ElasticsearchServer:
    """A cluster; exceptions of transport are those of its client."""

    label = "the cluster"

    def __init__(self, client: Elasticsearch) -> None:
        self._client = client

    def send(self, request: Request, _doing: str = "", /) -> ElasticsearchResponse:
        """Send *request*; the caller describes its exceptions, with `translate_errors`."""
        content_type = "application/x-ndjson" if isinstance(request.body, list) else "application/json"
        headers = {"accept": "application/json", "content-type": content_type}
        try:
            answer = self._client.perform_request(request.method, request.path, headers=headers, body=request.body)
        except (elasticsearch.AuthenticationException, elasticsearch.AuthorizationException):
            raise
        except elasticsearch.ApiError as error:
            return ElasticsearchResponse(status=error.status_code, json=error.body, message=find_reason(error))
        return ElasticsearchResponse(status=answer.meta.status, json=answer.body)
