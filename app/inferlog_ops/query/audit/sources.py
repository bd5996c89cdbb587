"""Sources of the events to verify and of their expected counts: an index, or the event files."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, require_stream
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.snapshot import PointInTime
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.query.audit.chain import Event, HeartbeatCount, get_instance_id, sort_key

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


def read_counts_from_files(directory: Path, start: datetime, end: datetime) -> dict[str, HeartbeatCount]:
    """Return the same counts from the files below *directory*."""
    counted: dict[str, HeartbeatCount] = {}
    for path in sorted(directory.rglob("health-*.jsonl")):
        for line in _read_documents(path):
            written, dropped = line.get("events_written"), line.get("events_dropped", 0)
            if isinstance(written, int) and isinstance(dropped, int) and start <= _read_event_time(line) < end:
                before = counted.get(get_instance_id(line), HeartbeatCount())
                counted[get_instance_id(line)] = HeartbeatCount(
                    written=max(written, before.written), dropped=max(dropped, before.dropped)
                )
    return counted


def read_events_from_files(directory: Path, start: datetime, end: datetime) -> Iterator[Event]:
    """
    Yield the events of the files below *directory* with *start* <= ``@timestamp`` < *end*, by instance and sequence.

    Raises:
        OperatorError: If *directory* is not a directory.
    """
    if not directory.is_dir():
        raise OperatorError(f"{directory} is not a directory; expected the directory with the event files", exit_code=2)
    paths = sorted(directory.rglob("events-*.jsonl"))
    # Sorted in memory: the sink's max_total_bytes limits the files of one log directory.
    events = (event for path in paths for event in _read_documents(path) if start <= _read_event_time(event) < end)
    yield from sorted(events, key=sort_key)


def _read_documents(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            try:
                document = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # a line cut short by a full disk or a crash; its event shows as a gap
            if isinstance(document, dict):
                yield document


def _read_event_time(event: Event) -> datetime:
    try:
        return datetime.fromisoformat(event["@timestamp"])
    except (KeyError, TypeError, ValueError):
        # An event without a valid time must become a finding; most ranges contain the current time.
        return datetime.now(UTC)
