"""Sink that sends lines to a Fluentd by the forward protocol, as a fast copy of the log files."""

import threading
import time
from contextlib import suppress
from queue import Empty
from typing import Any

import msgpack
import orjson
from fluent.asyncsender import _TOMBSTONE, FluentSender

from inferlog.losses import Losses

_BUFFER_BYTES = 8 * 1024 * 1024
_TIMEOUT_SECONDS = 1.0
_CLOSE_SECONDS = 2.0
_GATHER_SECONDS = 0.01


class _GatheringSender(FluentSender):  # type: ignore[misc]
    """
    Sends all lines queued within 10 ms in one batch.

    fluent-logger's own loop wakes up for each line, and needs about ten system calls to send it.
    """

    def _send_loop(self) -> None:
        try:
            going_on = True
            while going_on:
                gathered = [self._queue.get()]
                time.sleep(_GATHER_SECONDS)
                with suppress(Empty):  # writers remove the oldest line of a full queue meanwhile
                    for _ in range(self._queue.qsize()):
                        gathered.append(self._queue.get_nowait())  # noqa: PERF401 (the items before Empty are kept)
                if gathered[-1] is _TOMBSTONE:  # nothing is queued after it
                    going_on = False
                    gathered.pop()
                if gathered:
                    self._send_internal(b"".join(gathered))
        finally:
            self._close()


class ForwardSink:
    """
    Sends each line to ``in_forward`` from its own thread; needs the extra ``inferlog[forward]``.

    A copy: the file is the record of truth. Each line has the same ``event.id`` on both paths, so that the index has
    it once. fluent-logger 0.11 loses the oldest line when the queue is full, and all pending lines when they exceed
    8 MiB; both are counted in ``copies_dropped`` and reported by the heartbeat. It loses, uncounted, data in the
    sockets when Fluentd ends, and pending lines when the process ends while Fluentd is unreachable.

    The sender is created at the first line, so that it belongs to the writing process: its thread does not survive a
    fork.

    Args:
        stream: ``events``, ``app`` …; the tag is ``inference.<stream>``.
        host: Host of Fluentd.
        port: Port of Fluentd.
        queue_events: Capacity of the queue in lines; when full, the oldest is dropped.
        losses: Reports lost lines; None to only count them.
    """

    def __init__(self, stream: str, *, host: str, port: int, queue_events: int, losses: Losses | None = None) -> None:
        self._stream = stream
        self._host = host
        self._port = port
        self._queue_events = queue_events
        self._losses = losses
        self._sender: Any = None
        self.copies_dropped = 0

    def write(self, line: bytes) -> bool:
        """Queue *line* without blocking. Returns True: the delivery is asynchronous."""
        if self._sender is None:
            self._sender = self._connect()
        self._sender.emit(None, orjson.loads(line))
        return True

    def close(self) -> None:
        """Send the queued lines; wait at most two seconds for a Fluentd that does not respond."""
        if self._sender is not None:
            closing = threading.Thread(target=self._sender.close, daemon=True)
            closing.start()
            closing.join(_CLOSE_SECONDS)
            self._sender = None

    def detach_after_fork(self) -> None:
        """Forget the parent's sender in a forked child."""
        self._sender = None

    def _connect(self) -> Any:
        return _GatheringSender(
            f"inference.{self._stream}",
            host=self._host,
            port=self._port,
            bufmax=_BUFFER_BYTES,
            timeout=_TIMEOUT_SECONDS,
            nanosecond_precision=True,
            queue_maxsize=self._queue_events,
            # The default blocks the writer while the queue is full. Losing the oldest line is cheaper.
            queue_circular=True,
            queue_overflow_handler=self._count,
            buffer_overflow_handler=self._count,
            # The default sends a placeholder for a line that it cannot encode; an exception is easier to notice.
            forward_packet_error=False,
        )

    def _count(self, packed: bytes) -> None:
        # Called under the sender's lock, or in its thread: logging here would deadlock.
        messages = msgpack.Unpacker(strict_map_key=False)
        messages.feed(packed)
        lines = sum(1 for _ in messages)
        self.copies_dropped += lines
        if self._losses is not None:
            self._losses.add(self._stream, f"Fluentd at {self._host}:{self._port}", "too many lines are queued", lines)
