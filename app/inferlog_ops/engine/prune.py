"""
Removal of old events from the embedded engine, and release of their disk space.

The engine has neither a lifecycle nor delete-by-query.

An index with only old events is deleted as a whole, which is cheap. In an index with newer events, the old ones are
deleted one by one. The write index is rolled over first, and only if all its events are old: ids are unique within one
index, so the retry of a recent event must reach the same index.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.core.snapshot import PointInTime
from inferlog_ops.core.wait import poll

STREAMS = "logs-inference.*"

_PAGE_DOCUMENTS = 5000
_LEASE_TIMEOUT_SECONDS = 60.0
_SECONDS_BETWEEN_POLLS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedStream:
    """
    Events removed from one data stream, or to be removed with a dry run.

    Attributes:
        stream: Name of the data stream.
        documents: Number of events.
        deleted_indices: Indices deleted as a whole.
        thinned_indices: Indices that lost some of their events.
    """

    stream: str
    documents: int
    deleted_indices: tuple[str, ...]
    thinned_indices: tuple[str, ...]


def prune(
    client: Elasticsearch, before: datetime, report: ReportProgress, *, dry_run: bool = False
) -> list[PrunedStream]:
    """
    Remove every event with a timestamp before *before*; return the result for each data stream.

    Args:
        client: Client of the embedded engine; a request may take minutes.
        before: Timezone-aware and exclusive.
        report: Receives progress lines.
        dry_run: Change nothing.

    Raises:
        OperatorError: If the engine rejects a deletion.
    """
    streams = client.indices.resolve_index(name=STREAMS, expand_wildcards="all")["data_streams"]
    pruned = [
        _prune_stream(client, stream["name"], stream["backing_indices"], before, report, dry_run=dry_run)
        for stream in streams
    ]
    return [stream for stream in pruned if stream.documents or stream.deleted_indices]


def _prune_stream(
    client: Elasticsearch, stream: str, indices: list[str], before: datetime, report: ReportProgress, *, dry_run: bool
) -> PrunedStream:
    documents = 0
    deleted, thinned = [], []
    for index in indices:
        is_written_to = index == indices[-1]
        old, newer = _count(client, index, before)
        if old and not newer and is_written_to and not dry_run:
            client.indices.rollover(alias=stream)
            is_written_to = False
            # An event may have arrived in between.
            old, newer = _count(client, index, before)
        documents += old
        if newer or (is_written_to and not old):
            if old:
                thinned.append(index)
        else:
            deleted.append(index)
    if not dry_run:
        for index in deleted:
            client.indices.delete(index=index)
        for index in thinned:
            report(f"{stream}: removing old events from {index}")
            _delete_documents(client, index, before)
    return PrunedStream(
        stream=stream, documents=documents, deleted_indices=tuple(deleted), thinned_indices=tuple(thinned)
    )


def _count(client: Elasticsearch, index: str, before: datetime) -> tuple[int, int]:
    client.indices.refresh(index=index)
    old = int(client.count(index=index, query=_build_age_filter(before))["count"])
    return old, int(client.count(index=index)["count"]) - old


def _delete_documents(client: Elasticsearch, index: str, before: datetime) -> None:
    for ids in _read_pages_of_ids(client, index, before):
        answer = client.bulk(
            index=index,
            operations=[{"delete": {"_id": document_id}} for document_id in ids],
            filter_path="errors,items.*.error.reason",
        )
        if answer["errors"]:
            reason = answer["items"][0]["delete"]["error"]["reason"]
            raise OperatorError(f"{index}: an old event could not be removed: {reason}")
    client.indices.refresh(index=index)


def _read_pages_of_ids(client: Elasticsearch, index: str, before: datetime) -> Iterator[list[str]]:
    query = _build_age_filter(before)
    with closing(PointInTime.open(client, index)) as point:
        for hits in point.read_pages(query=query, size=_PAGE_DOCUMENTS, sort=["_shard_doc"], source=False):
            yield [hit["_id"] for hit in hits]


def _build_age_filter(before: datetime) -> dict[str, Any]:
    return {"range": {"@timestamp": {"lt": before.isoformat()}}}


def reclaim(client: Elasticsearch, indices: Sequence[str], report: ReportProgress) -> bool:
    """
    Rewrite the segments of *indices* without removed documents; return whether all of them were released.

    Elasticsearch keeps removed documents for replicas that may have to catch up, which the embedded engine never has.
    It renews that lease about every 30 seconds, so this takes as long.
    """
    if not indices:
        return True
    names = list(indices)
    client.indices.put_settings(index=names, settings={"index.soft_deletes.retention_lease.period": "1s"})
    last_removals = {shard: numbers["max_seq_no"] for shard, numbers, _ in _read_shards(client, names)}
    report("waiting for the engine to release the removed events, up to a minute")
    polls = poll(timeout_seconds=_LEASE_TIMEOUT_SECONDS, interval_seconds=_SECONDS_BETWEEN_POLLS)
    released = any(
        all(kept_from > last_removals[shard] for shard, _, kept_from in _read_shards(client, names)) for _ in polls
    )
    report("rewriting the remaining events")
    client.indices.flush(index=names)
    client.indices.forcemerge(index=names, only_expunge_deletes=True)
    return released


def measure_bytes(client: Elasticsearch, indices: str) -> int:
    """Return the current disk usage of the segments of *indices*, a name with wildcards."""
    # Store statistics would be up to ten seconds old.
    found = client.indices.segments(index=indices, expand_wildcards="all")["indices"]
    copies = [copy for index in found.values() for shard in index["shards"].values() for copy in shard]
    return sum(segment["size_in_bytes"] for copy in copies for segment in copy["segments"].values())


def _read_shards(client: Elasticsearch, names: list[str]) -> list[tuple[tuple[str, str], dict[str, Any], int]]:
    """Return for each shard: (index, number), sequence numbers, and the lowest retained sequence number."""
    stats = client.indices.stats(index=names, level="shards", expand_wildcards="all")
    return [
        (
            (index, number),
            copies[0]["seq_no"],
            min((lease["retaining_seq_no"] for lease in copies[0]["retention_leases"]["leases"]), default=0),
        )
        for index, shards in stats["indices"].items()
        for number, copies in shards["shards"].items()
    ]
