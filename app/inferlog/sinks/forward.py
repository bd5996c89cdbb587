"""Lines to a Fluentd by its forward protocol, as a quick copy of what lies in the files."""

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
    Sends what has gathered within a moment in one go.

    fluent-logger's own wakes up for each line, and makes some ten calls of the system to send it.
    """

    def _send_loop(self) -> None:
        try:
            going_on = True
            while going_on:
                gathered = [self._queue.get()]
                time.sleep(_GATHER_SECONDS)
                with suppress(Empty):  # of a full queue, who logs takes the oldest line meanwhile
                    for _ in range(self._queue.qsize()):
                        gathered.append(self._queue.get_nowait())  # noqa: PERF401 (what came before Empty counts)
                if gathered[-1] is _TOMBSTONE:  # nothing is queued after it
                    going_on = False
                    gathered.pop()
                if gathered:
                    self._send_internal(b"".join(gathered))
        finally:
            self._close()


class ForwardSink:
    """
    Sends each line to ``in_forward`` from a thread of its own; needs the extra ``inferlog[forward]``.

    A copy, not the record of truth: the file is. Each line has the same ``event.id`` on both ways, so that the index
    has it once. What fluent-logger 0.11 loses: the oldest line when the queue is full, and all that is pending when
    that is more than 8 MiB, both counted in ``copies_dropped`` and reported by the heartbeat; and, uncounted, what is
    in the sockets when Fluentd ends, and what is pending when the process ends while Fluentd is away.

    The sender is made at the first line, so that it belongs to the process that writes: after a fork its thread would
    not be there.

    Args:
        stream: ``events``, ``app`` …; the tag is ``inference.<stream>``.
        host: Of Fluentd.
        port: Of Fluentd.
        queue_events: How many lines may wait; above, the oldest is dropped.
        losses: Reports lost lines; None: nobody does.
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
        """Queue *line*; never waits. Returns True: what becomes of it is not known here."""
        if self._sender is None:
            self._sender = self._connected()
        self._sender.emit(None, orjson.loads(line))
        return True

    def close(self) -> None:
        """Send what is queued, but wait no longer than two seconds for a Fluentd that does not answer."""
        if self._sender is not None:
            closing = threading.Thread(target=self._sender.close, daemon=True)
            closing.start()
            closing.join(_CLOSE_SECONDS)
            self._sender = None

    def detach_after_fork(self) -> None:
        """Forget the parent's sender in a forked child."""
        self._sender = None

    def _connected(self) -> Any:
        return _GatheringSender(
            f"inference.{self._stream}",
            host=self._host,
            port=self._port,
            bufmax=_BUFFER_BYTES,
            timeout=_TIMEOUT_SECONDS,
            nanosecond_precision=True,
            queue_maxsize=self._queue_events,
            # The default blocks whoever logs while the queue is full. Losing the oldest line is cheaper.
            queue_circular=True,
            queue_overflow_handler=self._count,
            buffer_overflow_handler=self._count,
            # The default ships a placeholder for what it cannot encode; an exception is better noticed.
            forward_packet_error=False,
        )

    def _count(self, packed: bytes) -> None:
        # Called under the sender's own lock, or in its thread: to log here would come back to it, and hang.
        messages = msgpack.Unpacker(strict_map_key=False)
        messages.feed(packed)
        lines = sum(1 for _ in messages)
        self.copies_dropped += lines
        if self._losses is not None:
            self._losses.add(self._stream, f"Fluentd at {self._host}:{self._port}", "too many lines wait for it", lines)
