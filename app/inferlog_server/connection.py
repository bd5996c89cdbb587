"""A connection on which the next request has to come in time."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class PunctualConnection(H11Protocol):
    """
    uvicorn's, but closed when a request's head takes too long.

    uvicorn waits for the first request for ever, and for each later one as long as a byte comes now and then: whoever
    opens many connections and sends nearly nothing would hold them all.

    Args:
        head_timeout_seconds: From the connection's begin, or the end of the answer before, to the end of a head.
        uvicorn: What uvicorn hands over.
    """

    def __init__(self, *, head_timeout_seconds: float, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._head_timeout_seconds = head_timeout_seconds
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait_for_head()

    def on_response_complete(self) -> None:
        """Begin to wait for the next one."""
        self._wait_for_head()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._wait_no_more()
        self._head_timer = self.loop.call_later(self._head_timeout_seconds, self._close_if_idle)

    def _wait_no_more(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()

    def _close_if_idle(self) -> None:
        # A request that is being answered has bounds of its own, and its end begins the next wait.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
