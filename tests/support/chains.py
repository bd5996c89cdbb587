"""Events with a hash chain, as the library writes them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from inferlog.audit import FIRST, Hasher, serialize_canonically
from inferlog_ops.query.timerange import format_iso

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def build_chain(
    moments: Iterable[datetime], *, instance: str = "a", dropped: frozenset[int] = frozenset(), key: bytes = b""
) -> list[dict[str, Any]]:
    """Return an instance's events of *moments*; the sequences in *dropped* are missing."""
    events, previous, hasher = [], FIRST, Hasher(key)
    for sequence, moment in enumerate(moments):
        if sequence in dropped:
            continue
        content = {
            "event": {"id": f"{instance}{sequence}", "sequence": sequence},
            "service": {"instance": {"id": instance}},
            "model_version": "v1",
        }
        own = hasher(previous, (moment - EPOCH) // timedelta(microseconds=1), serialize_canonically(content))
        events.append({"@timestamp": format_iso(moment), "audit": {"prev": previous, "hash": own}, **content})
        previous = own
    return events
