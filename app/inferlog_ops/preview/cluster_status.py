"""Status of Elasticsearch: shown once for the page, instead of in every panel."""

from datetime import UTC, datetime
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, require_stream, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.query.run import find_future_events

_TIMEOUT_SECONDS = 5.0


def read_status(cluster: Cluster) -> dict[str, Any]:
    """
    Return the cluster and its status.

    ``problem``: a sentence if no figures are available, otherwise None. ``newest_event``: time of the newest event,
    ISO 8601; None without events. ``future_events``: a note on events later than now.
    """
    result: dict[str, Any] = {
        "cluster": cluster.shown_url,
        "namespace": cluster.namespace,
        "problem": None,
        "newest_event": None,
        "future_events": None,
    }
    try:
        with (
            cluster.build_client(request_timeout_seconds=_TIMEOUT_SECONDS) as client,
            translate_errors(cluster, "looking for the newest event"),
        ):
            newest = _find_newest_event(client, cluster)
            return result | {"newest_event": newest, "future_events": _note_future_events(cluster, newest)}
    except OperatorError as error:
        return result | {"problem": str(error)}


def _find_newest_event(client: Elasticsearch, cluster: Cluster) -> str | None:
    stream = build_stream_name("events", cluster.namespace)
    # A search requires only the read privilege. logsdb is sorted by time and finds the newest event directly.
    with require_stream(cluster, stream):
        answer = client.search(
            index=stream,
            size=1,
            source=False,
            fields=[{"field": "@timestamp", "format": "strict_date_time"}],
            sort=[{"@timestamp": "desc"}],
            track_total_hits=False,
        )
    hits = answer["hits"]["hits"]
    return str(hits[0]["fields"]["@timestamp"][0]) if hits else None


def _note_future_events(cluster: Cluster, newest_event: str | None) -> dict[str, Any] | None:
    now = datetime.now(UTC)
    if newest_event is None or datetime.fromisoformat(newest_event) <= now:
        return None
    note = find_future_events(cluster, [build_stream_name("events", cluster.namespace)], now)
    return note.as_json() if note else None
