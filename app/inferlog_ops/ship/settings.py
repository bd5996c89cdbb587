"""Sizes and timeouts of a shipper. The defaults are measured."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipSettings:
    """
    Sizes and timeouts of one shipper.

    Attributes:
        bulk_events: Maximum lines per request. Larger requests showed no measurable gain.
        bulk_bytes: Size at which a request is sent. The last read may exceed it.
        read_bytes: Bytes per read from a file.
        line_bytes: Maximum line length. A longer line becomes a dead letter that keeps only the beginning of the line.
        senders: Concurrent requests, each on its own connection.
        stream_batches: Maximum batches per stream in memory, so that a refused stream does not block the others.
        poll_seconds: Interval between polls of the log directory.
        save_seconds: Minimum interval between checkpoints.
        first_backoff_seconds: Maximum delay after a batch's first failure. Doubles with each further failure.
        longest_backoff_seconds: Upper limit of the doubled delay.
        connect_timeout_seconds: Timeout for opening a connection.
        answer_timeout_seconds: Timeout for a response.
        heartbeat_seconds: Interval between the shipper's own health lines; 0 for none.
        stop_seconds: Drain timeout after SIGTERM.
    """

    bulk_events: int = 2_000
    bulk_bytes: int = 4 * MEBIBYTE
    read_bytes: int = MEBIBYTE
    line_bytes: int = 8 * MEBIBYTE
    senders: int = 3
    stream_batches: int = 4
    poll_seconds: float = 0.25
    save_seconds: float = 0.25
    first_backoff_seconds: float = 0.5
    longest_backoff_seconds: float = 30.0
    connect_timeout_seconds: float = 5.0
    answer_timeout_seconds: float = 30.0
    heartbeat_seconds: float = 10.0
    stop_seconds: float = 6.0
