"""Single requests to a store, and the status of their responses."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

_JSON = {"accept": "application/json", "content-type": "application/json"}
_LINES = {"accept": "application/json", "content-type": "application/x-ndjson"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    A request.

    Attributes:
        what: Description of the request.
        method: "GET", "POST", "PUT", "DELETE".
        path: Address below the store's, parameters included.
        body: JSON body; a list is sent as the lines of a bulk request.
    """

    what: str
    method: str
    path: str
    body: Any = None


def create(what: str, stream: str, event_id: str, operation: str = "create") -> Call:
    """Return the request by which Fluentd writes a document."""
    lines = [{operation: {"_index": stream, "_id": event_id}}, build_document(event_id)]
    return Call(what=what, method="POST", path="/_bulk", body=lines)


def build_document(event_id: str) -> dict[str, Any]:
    """Return the smallest event."""
    return {"@timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"), "event": {"id": event_id}}


def send_call(client: Elasticsearch, call: Call) -> int:
    """Return the status of *call*, or of the only item of a bulk request."""
    headers = _LINES if isinstance(call.body, list) else _JSON
    try:
        answer = client.perform_request(call.method, call.path, headers=headers, body=call.body)
    except elasticsearch.ApiError as error:
        return error.status_code
    if isinstance(call.body, list):
        ((item,),) = (each.values() for each in answer.body["items"])
        return int(item["status"])
    return answer.meta.status
