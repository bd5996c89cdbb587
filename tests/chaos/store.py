"""What lies in the store, id by id, and what its own queries say is lost."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

import elasticsearch.helpers

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.streams import STREAMS, stream_name
from inferlog_ops.query import library
from inferlog_ops.query.run import run

_PAGE = 2_000
_ALL_TIME = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


def stored_ids(cluster: Cluster) -> Counter[tuple[str, str]]:
    """
    Return how often each stream and ``event.id`` is in the store, counted document by document.

    Raises:
        OperatorError: If the store does not say.
    """
    return Counter((stream, event_id) for stream in STREAMS for event_id in _ids(cluster, stream))


def _ids(cluster: Cluster, stream: str) -> Iterable[str]:
    index = stream_name(stream, cluster.namespace)
    with cluster.client() as client, translate_errors(cluster, f"counting {index}"):
        client.indices.refresh(index=index)
        query = {"_source": False, "fields": ["event.id"], "query": {"match_all": {}}}
        for hit in elasticsearch.helpers.scan(client, index=index, query=query, size=_PAGE):
            yield hit["fields"]["event.id"][0]


def reported_lost(cluster: Cluster) -> dict[str, int]:
    """Return what ``inferlog query lost_events`` says: lost events by instance, of those that lost any."""
    rows = run(cluster, library.find("lost_events"), *_ALL_TIME)
    return {row["service.instance.id"]: row["lost"] for row in rows if row["lost"]}
