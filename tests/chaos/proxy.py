"""
Proxy between shipper and engine with configurable misbehaviour.

Implements a minimum of HTTP: one request per connection, bodies with a length, responses forwarded unchanged. Its
``behaviour`` handles bulk requests; all others are forwarded.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

_END_OF_HEAD = b"\r\n\r\n"
_HEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRequest:
    """
    One received request.

    Attributes:
        head: Request line and headers, without the empty line.
        body: Bytes after the empty line.
    """

    head: bytes
    body: bytes

    @property
    def target(self) -> bytes:
        """Method and path."""
        return self.head.partition(b"\r\n")[0]

    @property
    def is_bulk(self) -> bool:
        """Whether it carries documents."""
        return b"/_bulk" in self.target

    def to_forward(self) -> bytes:
        """Return the bytes for the engine, which closes the connection at the end of its response."""
        return _add_connection_close(self.head) + _END_OF_HEAD + self.body


Forward = Callable[[ProxyRequest], Awaitable[bytes]]
"""Forwards a request to the engine and returns the complete response. Raises OSError without one."""

Behaviour = Callable[[ProxyRequest, Forward], Awaitable[bytes]]
"""Returns the bytes to send before the connection is closed: a response, a part of one, or nothing."""


async def forward_unchanged(request: ProxyRequest, forward: Forward) -> bytes:
    """Forward the request and return the response unchanged."""
    return await forward(request)


class Proxy:
    """
    Proxy on a free port of 127.0.0.1, in its own thread.

    Attributes:
        behaviour: Handles bulk requests. A change applies to requests that have not begun.
        url: Address of the proxy.
    """

    def __init__(self, engine_url: str) -> None:
        address = urlsplit(engine_url)
        self._engine = (address.hostname, address.port)
        self.behaviour: Behaviour = forward_unchanged
        self.url = ""

    async def listen(self) -> asyncio.Server:
        """Start to accept connections."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", limit=_HEAD_BYTES)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # Connections that either side closes early are expected here.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                writer.write(await self._answer(await _read(reader)))
                await writer.drain()
        finally:
            writer.close()

    async def _answer(self, request: ProxyRequest) -> bytes:
        behaviour = self.behaviour if request.is_bulk else forward_unchanged
        return await behaviour(request, self._forward)

    async def _forward(self, request: ProxyRequest) -> bytes:
        reader, writer = await asyncio.open_connection(*self._engine)
        try:
            writer.write(request.to_forward())
            head, end, body = (await reader.read()).partition(_END_OF_HEAD)
            # Otherwise the shipper would reuse this connection and see its end as a cut.
            return _add_connection_close(head) + end + body if end else b""
        finally:
            writer.close()


def _add_connection_close(head: bytes) -> bytes:
    """Return *head* of a request or response with the header ``connection: close``."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"connection: close"])


async def _read(reader: asyncio.StreamReader) -> ProxyRequest:
    head = (await reader.readuntil(_END_OF_HEAD)).removesuffix(_END_OF_HEAD)
    _, found, length = head.lower().partition(b"content-length:")
    body = await reader.readexactly(int(length.partition(b"\r\n")[0])) if found else b""
    return ProxyRequest(head=head, body=body)


@contextmanager
def run_proxy(engine_url: str) -> Iterator[Proxy]:
    """Run a `Proxy` for the engine at *engine_url* until the end of the block."""
    proxy = Proxy(engine_url)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(proxy.listen())
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.close()
        asyncio.run_coroutine_threadsafe(_end_open_requests(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end_open_requests() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
