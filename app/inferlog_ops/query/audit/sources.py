"""Events to verify and their expected counts, from an index."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, require_stream
from inferlog_ops.core.snapshot import PointInTime
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.query.audit.chain import Event, HeartbeatCount

_PAGE = 2_000
# A heartbeat can be indexed before the events that it counts. One that is later than now by as much has a clock ahead.
_SETTLE = timedelta(minutes=1)
_MAX_ROWS = 10_000  # Elasticsearch's own limit
_COUNTED = f"""
FROM {{stream}}
| WHERE @timestamp >= ?start AND @timestamp < ?end AND events_written IS NOT NULL AND service.instance.id > ?after
| STATS
    written = MAX(events_written) WHERE @timestamp < ?settled,
    dropped = MAX(events_dropped) WHERE @timestamp < ?settled,
    ahead = COUNT(*) WHERE @timestamp >= ?ahead
  BY service.instance.id
| SORT service.instance.id
| KEEP service.instance.id, written, dropped, ahead
| LIMIT {_MAX_ROWS}
"""


def read_events_from_index(client: Elasticsearch, cluster: Cluster, start: datetime, end: datetime) -> Iterator[Event]:
    """
    Yield the events with *start* <= ``@timestamp`` < *end*, sorted by instance and sequence.

    Reads through a point in time: documents indexed in between do not shift the pages.
    Partial results are an error: the events of a missing shard would be reported as removed.

    Raises:
        OperatorError: If the stream is missing.
    """
    stream = build_stream_name("events", cluster.namespace)
    with require_stream(cluster, stream):
        point = PointInTime.open(client, stream)
    with closing(point):
        pages = point.read_pages(
            query={"range": {"@timestamp": {"gte": start.isoformat(), "lt": end.isoformat()}}},
            sort=[{"service.instance.id": "asc"}, {"event.sequence": "asc"}, {"_shard_doc": "asc"}],
            size=_PAGE,
        )
        for hits in pages:
            yield from (hit["_source"] for hit in hits)


def read_counts_from_index(
    client: Elasticsearch, cluster: Cluster, start: datetime, end: datetime, now: datetime
) -> dict[str, HeartbeatCount]:
    """
    Return the counts of each instance's last heartbeat in the range that is a minute older than *now*.

    Raises:
        OperatorError: If the stream is missing.
    """
    stream = build_stream_name("health", cluster.namespace)
    query = _COUNTED.format(stream=stream)
    moments = {"start": start, "end": end, "settled": now - _SETTLE, "ahead": now + _SETTLE}
    counted: dict[str, HeartbeatCount] = {}
    after = ""
    while True:
        with require_stream(cluster, stream):
            rows = client.esql.query(
                query=query,
                params=[*({name: moment.isoformat()} for name, moment in moments.items()), {"after": after}],
                # Without the count of a shard that does not answer, a missing end would not be found.
                allow_partial_results=False,
            )["values"]
        counted |= {
            instance: HeartbeatCount(written=written or 0, dropped=dropped or 0, is_ahead=ahead > 0)
            for instance, written, dropped, ahead in rows
        }
        if len(rows) < _MAX_ROWS:
            return counted
        after = rows[-1][0]
