"""Whether the page can have figures at all: said once, instead of by every panel."""

from datetime import UTC, datetime
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import stream_name
from inferlog_ops.query.run import future_events

_TIMEOUT_SECONDS = 5.0


def status(cluster: Cluster) -> dict[str, Any]:
    """
    Return where the figures come from.

    ``problem`` is what keeps them from coming, in a sentence, or None; ``newest_event`` when the last request that is
    known ended, ISO 8601, or None before the first; ``future_events`` a note on requests that ended later than now.
    """
    said: dict[str, Any] = {
        "cluster": cluster.shown_url,
        "namespace": cluster.namespace,
        "problem": None,
        "newest_event": None,
        "future_events": None,
    }
    try:
        with (
            cluster.client(request_timeout_seconds=_TIMEOUT_SECONDS) as client,
            translate_errors(cluster, "looking for the newest event"),
        ):
            newest = _newest_event(client, cluster)
            return said | {"newest_event": newest, "future_events": _future_events(cluster, newest)}
    except OperatorError as error:
        return said | {"problem": str(error)}


def _newest_event(client: Elasticsearch, cluster: Cluster) -> str | None:
    stream = stream_name("events", cluster.namespace)
    # A search needs no right but that to read. logsdb finds the newest without looking at the others.
    answer = client.options(ignore_status=404).search(
        index=stream,
        size=1,
        source=False,
        fields=[{"field": "@timestamp", "format": "strict_date_time"}],
        sort=[{"@timestamp": "desc"}],
        track_total_hits=False,
    )
    if answer.meta.status == 404:
        raise OperatorError(
            f"{cluster.shown_url} has no {stream}; make it with: inferlog provision --namespace {cluster.namespace}"
        )
    hits = answer["hits"]["hits"]
    return str(hits[0]["fields"]["@timestamp"][0]) if hits else None


def _future_events(cluster: Cluster, newest_event: str | None) -> dict[str, Any] | None:
    now = datetime.now(UTC)
    if newest_event is None or datetime.fromisoformat(newest_event) <= now:
        return None
    note = future_events(cluster, [stream_name("events", cluster.namespace)], now)
    return note.as_json() if note else None
