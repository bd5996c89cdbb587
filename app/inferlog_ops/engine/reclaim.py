"""Release of the disk space of removed events."""

from collections.abc import Sequence
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.core.wait import poll

_LEASE_TIMEOUT_SECONDS = 60.0
_SECONDS_BETWEEN_POLLS = 0.5


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
    last_removals = {shard: numbers["max_seq_no"] for shard, numbers, _ in _shards(client, names)}
    report("waiting for the engine to release the removed events, up to a minute")
    polls = poll(timeout_seconds=_LEASE_TIMEOUT_SECONDS, interval_seconds=_SECONDS_BETWEEN_POLLS)
    released = any(
        all(kept_from > last_removals[shard] for shard, _, kept_from in _shards(client, names)) for _ in polls
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


def _shards(client: Elasticsearch, names: list[str]) -> list[tuple[tuple[str, str], dict[str, Any], int]]:
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
