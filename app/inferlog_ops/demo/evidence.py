"""Events of a run in the log files, in the dead letters and in the index."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from inferlog.sinks.shipped import read_shipped_bytes
from inferlog_ops.core.streams import build_stream_name

_PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenEvent:
    """
    One event of the run in a log file.

    Attributes:
        correlation_id: Correlation id of the request.
        shipped: True if the shipper's published offset is past the event: Elasticsearch has acknowledged it.
    """

    correlation_id: str
    shipped: bool


def find_written_events(log_dir: Path, run_id: str) -> list[WrittenEvent]:
    """Return each of the run's events in the files of *log_dir*."""
    offsets = read_shipped_bytes(log_dir)
    return [
        WrittenEvent(correlation_id=event["correlation_id"], shipped=end <= offsets.get(path.name, 0))
        for path in log_dir.glob("events-*.jsonl")
        for event, end in _read_events(path, run_id.encode())
        if event["correlation_id"].startswith(run_id)
    ]


def _read_events(path: Path, marker: bytes) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the events of *path* that contain *marker*, each with the offset of its line end."""
    end = 0
    with path.open("rb") as lines:
        for line in lines:
            end += len(line)
            if marker in line and line.endswith(b"\n"):
                yield orjson.loads(line), end


def count_dead_letters(state_dir: Path, run_id: str) -> int:
    """Return the number of the run's events in the dead letters."""
    try:
        with (state_dir / "dead_letters.jsonl").open("rb") as letters:
            return sum(b'"stream":"events"' in letter and run_id.encode() in letter for letter in letters)
    except FileNotFoundError:
        return 0


def count_searchable(client: Elasticsearch, namespace: str, run_id: str) -> int:
    """Return the number of the run's searchable events."""
    answer = client.count(index=build_stream_name("events", namespace), query=build_run_filter(run_id))
    return int(answer["count"])


def find_ids(client: Elasticsearch, namespace: str, run_id: str) -> list[str]:
    """Return the correlation id of each of the run's events in the index."""
    ids: list[str] = []
    after: list[Any] | None = None
    while True:
        page = client.search(
            index=build_stream_name("events", namespace),
            query=build_run_filter(run_id),
            source=False,
            fields=[{"field": "correlation_id"}],
            sort=[{"correlation_id": "asc"}, {"event.id": "asc"}],
            size=_PAGE,
            search_after=after,
            allow_partial_search_results=False,
        )["hits"]["hits"]
        if not page:
            return ids
        ids += [hit["fields"]["correlation_id"][0] for hit in page]
        after = page[-1]["sort"]


def build_run_filter(run_id: str) -> dict[str, Any]:
    """Return the query DSL filter of the run's events, as other services may use the same streams."""
    return {"prefix": {"correlation_id": run_id}}
