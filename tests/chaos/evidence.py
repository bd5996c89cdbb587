"""Evidence of one trial: reads log files, dead letters, heartbeats, the load's records, and the store."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import elasticsearch.helpers
import numpy as np
import orjson

from inferlog.heartbeat import MESSAGE, STOPPED
from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.streams import STREAMS, build_stream_name
from inferlog_ops.query import library
from inferlog_ops.query.run import fetch_rows
from inferlog_ops.ship.discovery import find_stream
from tests.chaos.account import (
    Account,
    Line,
    LinePlace,
    collect_sequences,
    count_gaps,
    count_lines,
    count_missing_at_first,
)
from tests.chaos.faults.lines import BAD_FILES
from tests.chaos.trial_dirs import TrialDirs

_PAGE = 2_000
_ALL_TIME = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))

Window = tuple[float, float]
"""From and to; Unix time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest:
    """
    One request of the load.

    Attributes:
        correlation_id: Also in its event.
        intended_at: When it was due; Unix time.
        latency_seconds: From then until its response was complete or it failed.
        status_code: Of its response; None without a complete one.
    """

    correlation_id: str
    intended_at: float
    latency_seconds: float
    status_code: int | None

    @property
    def is_answered(self) -> bool:
        return self.status_code == HTTPStatus.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """
    Last heartbeat of one process.

    Attributes:
        events_written: Events that the process counts as written.
        events_dropped: Events that the disk refused.
        stopped: Whether it is the heartbeat of an orderly end.
    """

    events_written: int
    events_dropped: int
    stopped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """
    Requests of the load by their end.

    Attributes:
        sent: Requests.
        answered: Of these, requests with status 200.
        failed: Of these, requests with another status.
        without_event: Of the answered and the failed, requests without an event on the disk.
        p99_before_seconds: Of the answered requests before the fault; None without any.
        p99_during_seconds: Of the answered requests during the fault; None without any.
    """

    sent: int
    answered: int
    failed: int
    without_event: int
    p99_before_seconds: float | None
    p99_during_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    Input of the invariants. Mappings count events by instance.

    Attributes:
        account: Number of lines by their end.
        on_disk: Complete events.
        dropped: Sequence numbers missing on the disk before the last one there.
        dropped_at_first: Of these, numbers before the first one there.
        removed: Events that are lost because their file was deleted.
        reported: Lost events according to the query ``lost_events``.
        heartbeats: Last heartbeat of each instance.
        complaints: Lines about lost events that the service wrote to standard error.
        dead_lines: Lines on the disk that no store accepts.
        wrong_letters: Dead letters of other lines.
        caught_up_seconds: From the end of the fault until all bytes then on the disk were acknowledged; None: never.
        traffic: Requests of the load by their end.
    """

    account: Account
    on_disk: Mapping[str, int]
    dropped: Mapping[str, int]
    dropped_at_first: Mapping[str, int]
    removed: Mapping[str, int]
    reported: Mapping[str, int]
    heartbeats: Mapping[str, Heartbeat]
    complaints: int
    dead_lines: int
    wrong_letters: int
    caught_up_seconds: float | None
    traffic: Traffic


def gather_evidence(
    dirs: TrialDirs,
    cluster: Cluster,
    *,
    removed_files: Collection[str],
    before: Window,
    during: Window,
    caught_up_seconds: float | None,
) -> Evidence:
    """
    Gather the evidence after load, service and shipper have ended.

    Args:
        dirs: The trial's directories.
        cluster: The engine itself, and the trial's namespace.
        removed_files: Names of log files that were deleted before they were shipped.
        before: Time before the fault.
        during: Time of the fault.
        caught_up_seconds: As measured; None after a timeout.

    Raises:
        OperatorError: If the store does not answer.
    """
    lines = read_lines(dirs.kept)
    stored = count_stored_ids(cluster)
    letters = read_letter_places(dirs.dead_letters)
    dead = {line.place for line in lines if line.id is None or line.file.startswith(BAD_FILES)}
    numbers = collect_sequences(lines)
    return Evidence(
        account=count_lines(lines, stored, letters, removed_files),
        on_disk={instance: len(seen) for instance, seen in numbers.items()},
        dropped=count_gaps(numbers),
        dropped_at_first=count_missing_at_first(numbers),
        removed=Counter(
            line.instance
            for line in lines
            if line.file in removed_files and line.sequence is not None and not stored[line.stream, line.id or ""]
        ),
        reported=query_lost_events(cluster),
        heartbeats=find_last_heartbeats(lines),
        complaints=_count_complaints(dirs),
        dead_lines=len(dead),
        wrong_letters=len(set(letters) - dead),
        caught_up_seconds=caught_up_seconds,
        traffic=_summarize_traffic(dirs, lines, before, during),
    )


def read_lines(folder: Path) -> list[Line]:
    """Return the complete lines of all log files in *folder*, in order of file and offset."""
    return [line for path in sorted(folder.glob("*.jsonl")) for line in _read_file(path)]


def count_whole_bytes(path: Path) -> int:
    """Return the size of the complete lines in *path*."""
    return path.read_bytes().rfind(b"\n") + 1


def read_letter_places(file: Path) -> list[LinePlace]:
    """Return the place of each dead letter's line; none without a *file*."""
    if not file.exists():
        return []
    return [(letter["file"], letter["offset"]) for letter in map(orjson.loads, file.read_bytes().splitlines())]


def find_last_heartbeats(lines: Iterable[Line]) -> dict[str, Heartbeat]:
    """Return the last heartbeat of each instance of the service."""
    last: dict[str, Heartbeat] = {}
    for line in lines:
        message = line.content.get("message")
        if line.stream == "health" and message in {MESSAGE, STOPPED}:
            last[line.instance] = Heartbeat(
                events_written=line.content["events_written"],
                events_dropped=line.content["events_dropped"],
                stopped=message == STOPPED,
            )
    return last


def read_requests(records: Path) -> list[SentRequest]:
    return [
        SentRequest(
            correlation_id=record["correlation_id"],
            intended_at=record["intended_at"],
            latency_seconds=record["ended_after_seconds"],
            status_code=record["status_code"],
        )
        for record in map(orjson.loads, records.read_bytes().splitlines())
    ]


def compute_p99_seconds(requests: list[SentRequest], began: float, ended: float) -> float | None:
    """Return the p99 of the answered *requests* due from *began* until before *ended*; None without one."""
    latencies = [each.latency_seconds for each in requests if each.is_answered and began <= each.intended_at < ended]
    return round(float(np.percentile(latencies, 99)), 4) if latencies else None


def count_stored_ids(cluster: Cluster) -> Counter[tuple[str, str]]:
    """
    Return the number of documents by stream and ``event.id``, counted document by document.

    Raises:
        OperatorError: If the store does not answer.
    """
    return Counter((stream, event_id) for stream in STREAMS for event_id in _scan_ids(cluster, stream))


def query_lost_events(cluster: Cluster) -> dict[str, int]:
    """Return the non-zero results of ``inferlog query lost_events``, by instance."""
    rows = fetch_rows(cluster, library.find("lost_events"), *_ALL_TIME)
    return {row["service.instance.id"]: row["lost"] for row in rows if row["lost"]}


def _read_file(path: Path) -> Iterator[Line]:
    stream = find_stream(path.name)
    if stream is None:
        return
    offset = 0
    with path.open("rb") as lines:
        for raw in lines:
            if raw.endswith(b"\n") and not raw.isspace():
                yield Line(file=path.name, offset=offset, stream=stream, content=_parse_object(raw))
            offset += len(raw)


def _parse_object(raw: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _scan_ids(cluster: Cluster, stream: str) -> Iterable[str]:
    index = build_stream_name(stream, cluster.namespace)
    with cluster.build_client() as client, translate_errors(cluster, f"counting {index}"):
        client.indices.refresh(index=index)
        query = {"_source": False, "fields": ["event.id"], "query": {"match_all": {}}}
        for hit in elasticsearch.helpers.scan(client, index=index, query=query, size=_PAGE):
            yield hit["fields"]["event.id"][0]


def _count_complaints(dirs: TrialDirs) -> int:
    output = (dirs.output / "server.log").read_text(errors="replace")
    return sum(line.startswith("inferlog: ") for line in output.splitlines())


def _summarize_traffic(dirs: TrialDirs, lines: list[Line], before: Window, during: Window) -> Traffic:
    requests = read_requests(dirs.records)
    with_event = {line.content.get("correlation_id") for line in lines if line.stream == "events"}
    with_response = [request for request in requests if request.status_code is not None]
    answered = sum(request.is_answered for request in with_response)
    return Traffic(
        sent=len(requests),
        answered=answered,
        failed=len(with_response) - answered,
        without_event=sum(request.correlation_id not in with_event for request in with_response),
        p99_before_seconds=compute_p99_seconds(requests, *before),
        p99_during_seconds=compute_p99_seconds(requests, *during),
    )
