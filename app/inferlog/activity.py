"""How busy the process is: open requests, and how late its event loops are."""

import asyncio
import threading
import time


class Activity:
    """Counts the requests in flight and knows the event loops that serve them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def open_requests(self) -> int:
        """How many requests are being answered."""
        return self._open

    def begin(self) -> int:
        """Count a request that has come in; return how many others are in flight."""
        with self._lock:
            others = self._open
            self._open = others + 1
        return others

    def end(self) -> None:
        """Count a request that has been answered."""
        with self._lock:
            self._open -= 1

    def serve_on_this_loop(self) -> None:
        """Note that requests are served on the running loop; the last one noted is the one that is measured."""
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None  # trio: not measured

    def serve_nowhere(self) -> None:
        """Forget the loop: it is not measured any more."""
        self._loop = None

    def loop_lag_seconds(self, *, at_most_seconds: float) -> float | None:
        """
        Measure from another thread how long the loop takes to get round to a callback.

        Returns *at_most_seconds* if it takes longer, None if there is no loop that runs.
        """
        loop = self._loop
        if loop is None or loop.is_closed():
            return None
        reached = threading.Event()
        asked = time.monotonic()
        try:
            loop.call_soon_threadsafe(reached.set)
        except RuntimeError:  # closed between the look and the call
            return None
        reached.wait(at_most_seconds)
        return min(time.monotonic() - asked, at_most_seconds)
