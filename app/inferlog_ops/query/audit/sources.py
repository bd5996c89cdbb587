"""Where the events to be verified come from, and how many there should be: an index, or the files themselves."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import stream_name
from inferlog_ops.query.audit.chain import Counted, Event, instance_id, order

_PAGE = 2_000
_KEEP_ALIVE = "2m"
_COUNTED = """
FROM {stream}
| WHERE @timestamp >= ?start AND @timestamp < ?end AND events_written IS NOT NULL
| STATS written = MAX(events_written), dropped = MAX(events_dropped) BY service.instance.id
| KEEP service.instance.id, written, dropped
| LIMIT 10000
"""


def from_index(client: Elasticsearch, namespace: str, start: datetime, end: datetime) -> Iterator[Event]:
    """
    Yield the events with *start* <= ``@timestamp`` < *end* as they were written, by instance and sequence.

    Read through a point in time, so that what arrives meanwhile does not disturb the pages.
    """
    point = client.open_point_in_time(index=stream_name("events", namespace), keep_alive=_KEEP_ALIVE)["id"]
    try:
        after: list[Any] | None = None
        while True:
            page = client.search(
                pit={"id": point, "keep_alive": _KEEP_ALIVE},
                query={"range": {"@timestamp": {"gte": start.isoformat(), "lt": end.isoformat()}}},
                sort=[{"service.instance.id": "asc"}, {"event.sequence": "asc"}, {"_shard_doc": "asc"}],
                size=_PAGE,
                search_after=after,
                track_total_hits=False,
            )["hits"]["hits"]
            if not page:
                return
            yield from (hit["_source"] for hit in page)
            after = page[-1]["sort"]
    finally:
        client.close_point_in_time(id=point)


def counted_in_index(client: Elasticsearch, namespace: str, start: datetime, end: datetime) -> dict[str, Counted]:
    """
    Return what each instance's last heartbeat with *start* <= ``@timestamp`` < *end* has counted.

    Of 10 000 instances at most: Elasticsearch gives no more rows.
    """
    answer = client.esql.query(
        query=_COUNTED.format(stream=stream_name("health", namespace)),
        params=[{"start": start.isoformat()}, {"end": end.isoformat()}],
    )
    return {instance: Counted(written=written, dropped=dropped or 0) for instance, written, dropped in answer["values"]}


def counted_in_files(directory: Path, start: datetime, end: datetime) -> dict[str, Counted]:
    """Return the same from the files beneath *directory*."""
    counted: dict[str, Counted] = {}
    for path in sorted(directory.rglob("health-*.jsonl")):
        for line in _documents(path):
            written, dropped = line.get("events_written"), line.get("events_dropped", 0)
            if isinstance(written, int) and isinstance(dropped, int) and start <= _when(line) < end:
                before = counted.get(instance_id(line), Counted())
                counted[instance_id(line)] = Counted(
                    written=max(written, before.written), dropped=max(dropped, before.dropped)
                )
    return counted


def from_files(directory: Path, start: datetime, end: datetime) -> Iterator[Event]:
    """
    Yield the events of the files beneath *directory* with *start* <= ``@timestamp`` < *end*, by instance and sequence.

    Raises:
        OperatorError: If there is no such directory.
    """
    if not directory.is_dir():
        raise OperatorError(f"{directory} is no directory; expected the one with the event files", exit_code=2)
    paths = sorted(directory.rglob("events-*.jsonl"))
    # All in memory: the files of one log directory are bounded by the sink's max_total_bytes.
    events = (event for path in paths for event in _documents(path) if start <= _when(event) < end)
    yield from sorted(events, key=order)


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            try:
                document = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # a line torn by a full disk or a crash; its event shows as a hole
            if isinstance(document, dict):
                yield document


def _when(event: Event) -> datetime:
    try:
        return datetime.fromisoformat(event["@timestamp"])
    except (KeyError, TypeError, ValueError):
        return datetime.now(UTC)  # in any usual range: an event without a time is a finding, not nothing
