"""Gives the room of removed events back to the disk."""

from collections.abc import Sequence
from time import monotonic, sleep
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.progress import Say

_LEASE_TIMEOUT_SECONDS = 60.0
_SECONDS_BETWEEN_LOOKS = 0.5


def reclaim(client: Elasticsearch, indices: Sequence[str], say: Say) -> bool:
    """
    Write the segments of *indices* anew without their removed documents; return whether all could be.

    Elasticsearch keeps removed documents for copies of the index that may have to catch up, which the embedded
    engine never has. It looks about every 30 seconds whether that is still needed, so this takes as long.
    """
    if not indices:
        return True
    names = list(indices)
    client.indices.put_settings(index=names, settings={"index.soft_deletes.retention_lease.period": "1s"})
    last_removals = {shard: numbers["max_seq_no"] for shard, numbers, _ in _shards(client, names)}
    say("waiting for the engine to let go of the removed events, up to a minute")
    deadline = monotonic() + _LEASE_TIMEOUT_SECONDS
    while is_held_back := any(kept_from <= last_removals[shard] for shard, _, kept_from in _shards(client, names)):
        if monotonic() >= deadline:
            break
        sleep(_SECONDS_BETWEEN_LOOKS)
    say("writing the remaining events anew")
    client.indices.flush(index=names)
    client.indices.forcemerge(index=names, only_expunge_deletes=True)
    return not is_held_back


def stored_bytes(client: Elasticsearch, indices: str) -> int:
    """Return what the segments of *indices*, a name with wildcards, take on the disk now."""
    # The statistics of the store would be up to ten seconds old.
    found = client.indices.segments(index=indices, expand_wildcards="all")["indices"]
    copies = [copy for index in found.values() for shard in index["shards"].values() for copy in shard]
    return sum(segment["size_in_bytes"] for copy in copies for segment in copy["segments"].values())


def _shards(client: Elasticsearch, names: list[str]) -> list[tuple[tuple[str, str], dict[str, Any], int]]:
    """Return of each shard: index and number, its sequence numbers, from which number on removals are kept."""
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
