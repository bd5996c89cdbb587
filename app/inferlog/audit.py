"""
Hash chain of the audit trail: each event of an instance has the hash of the event before it, and its own.

An event that is changed, removed or inserted later breaks the chain; :mod:`inferlog_ops.query.audit` finds the place.
Removing the last events leaves a valid chain: only the counts of the last heartbeat reveal it. Without a key the
chain protects against mistakes and against tampering with single documents; an attacker who can rewrite all later
events of an instance can also compute new hashes, unless the key is kept secret from them.

The hash covers a canonical form, so that it stays valid through the pipeline: keys sorted, no spaces, ``@timestamp``
as whole microseconds, without ``audit`` itself and without ``event.ingested``, which is added on the way.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

FIRST: Final = "0" * 32
"""Previous hash of an instance's first event."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIGEST_BYTES: Final = 16


class Hasher:
    """
    Computes an event's hash: BLAKE2b of 16 bytes over the previous hash, the time, and the rest in canonical form.

    Args:
        key: Up to 64 bytes, known only to writer and verifier; empty for a chain without a key.
    """

    def __init__(self, key: bytes = b"") -> None:
        # Copied for each event: creating an object costs twice as much.
        self._start = hashlib.blake2b(key=key, digest_size=_DIGEST_BYTES)

    def __call__(self, previous: str, unix_microseconds: int | str, body: bytes) -> str:
        """Return 32 hexadecimal digits of *body*, canonical JSON; a text of *unix_microseconds* is decimal."""
        state = self._start.copy()
        state.update(f"{previous}{unix_microseconds}".encode())
        state.update(body)
        return state.hexdigest()


def serialize_canonically(document: Mapping[str, Any]) -> bytes:
    """Serialise a document, without ``@timestamp``, ``audit`` and ``event.ingested``, in the canonical form."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def split(document: Mapping[str, Any]) -> tuple[str, str, int, bytes]:
    """
    Split an event read from a file or an index into previous hash, own hash, Unix microseconds and body.

    Raises:
        ValueError: If it has no hashes, or no valid ``@timestamp``.
    """
    rest = {name: value for name, value in document.items() if name not in ("@timestamp", "audit", "event.ingested")}
    audit, event = document.get("audit"), document.get("event")
    if not isinstance(audit, dict) or not {"prev", "hash"} <= audit.keys():
        raise ValueError("the event has no audit.prev and audit.hash")
    if isinstance(event, dict):
        rest["event"] = {name: value for name, value in event.items() if name != "ingested"}
    return (
        audit["prev"],
        audit["hash"],
        _parse_unix_microseconds(document.get("@timestamp")),
        serialize_canonically(rest),
    )


def _parse_unix_microseconds(timestamp: Any) -> int:
    if not isinstance(timestamp, str):
        raise ValueError(f"@timestamp is {timestamp!r}; expected ISO 8601")  # noqa: TRY004 (one kind of error)
    moment = datetime.fromisoformat(timestamp)
    if moment.tzinfo is None:
        raise ValueError(f"@timestamp is {timestamp!r}, without the offset from UTC")
    return (moment - _EPOCH) // timedelta(microseconds=1)
