"""What can be tuned, with the values that were measured to be good ones."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    Sizes and times of one shipper.

    Attributes:
        bulk_events: Most lines of one request. Larger ones gained nothing that could be told from noise.
        bulk_bytes: A request is sent once it holds this much; one more read may come on top.
        read_bytes: How much of a file is read at a time.
        line_bytes: A longer line becomes a dead letter, of which only the beginning is kept.
        senders: Requests on their way at the same time, each on a connection of its own.
        stream_batches: Batches of one stream in memory, so that a stream that is refused does not hold up the others.
        poll_seconds: How often the folder is looked through.
        save_seconds: How often positions are saved, at most.
        first_backoff_seconds: About how long a batch waits after its first failure; doubled with each further one.
        longest_backoff_seconds: Where the doubling ends.
        connect_timeout_seconds: How long a connection may take to come about.
        answer_timeout_seconds: How long the store may take to answer.
        heartbeat_seconds: How often the shipper writes a health line of its own; 0 for none.
        stop_seconds: How long what is on its way may take after SIGTERM.
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
