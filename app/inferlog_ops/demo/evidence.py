"""What became of each request: in the log files, and in the index."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from inferlog.sinks.shipped import shipped_bytes
from inferlog_ops.core.streams import stream_name

_PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """
    One of the run's events as it lies in a file.

    Attributes:
        correlation_id: That of the request.
        shipped: A shipper has published a position beyond it: the store has answered for it.
    """

    correlation_id: str
    shipped: bool


def written_events(log_dir: Path, run_id: str) -> list[Written]:
    """Return each of the run's events in the files of *log_dir*."""
    positions = shipped_bytes(log_dir)
    return [
        Written(correlation_id=event["correlation_id"], shipped=end <= positions.get(path.name, 0))
        for path in log_dir.glob("events-*.jsonl")
        for event, end in _events(path, run_id.encode())
        if event["correlation_id"].startswith(run_id)
    ]


def _events(path: Path, marker: bytes) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the events of *path* that contain *marker*, each with the byte at which its line ends."""
    end = 0
    with path.open("rb") as lines:
        for line in lines:
            end += len(line)
            if marker in line and line.endswith(b"\n"):
                yield orjson.loads(line), end


def count_dead_letters(state_dir: Path, run_id: str) -> int:
    """Return how many of the run's events the store has refused for good."""
    try:
        with (state_dir / "dead_letters.jsonl").open("rb") as letters:
            return sum(b'"stream":"events"' in letter and run_id.encode() in letter for letter in letters)
    except FileNotFoundError:
        return 0


def count_found(client: Elasticsearch, namespace: str, run_id: str) -> int:
    """Return how many of the run's events can be searched."""
    answer = client.count(index=stream_name("events", namespace), query=of_run(run_id))
    return int(answer["count"])


def found_ids(client: Elasticsearch, namespace: str, run_id: str) -> list[str]:
    """Return the correlation id of each of the run's events in the index."""
    ids: list[str] = []
    after: list[Any] | None = None
    while True:
        page = client.search(
            index=stream_name("events", namespace),
            query=of_run(run_id),
            source=False,
            fields=[{"field": "correlation_id"}],
            sort=[{"correlation_id": "asc"}, {"event.id": "asc"}],
            size=_PAGE,
            search_after=after,
        )["hits"]["hits"]
        if not page:
            return ids
        ids += [hit["fields"]["correlation_id"][0] for hit in page]
        after = page[-1]["sort"]


def of_run(run_id: str) -> dict[str, Any]:
    """Return the query DSL filter of the run's events: others may use the same streams."""
    return {"prefix": {"correlation_id": run_id}}
