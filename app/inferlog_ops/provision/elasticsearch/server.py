"""Elasticsearch as a server of the desired-state engine."""

from dataclasses import dataclass
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import reason
from inferlog_ops.provision.desired import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticsearchResponse:
    """A response of Elasticsearch."""

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
            return ElasticsearchResponse(status=error.status_code, json=error.body, message=reason(error))
        return ElasticsearchResponse(status=answer.meta.status, json=answer.body)
