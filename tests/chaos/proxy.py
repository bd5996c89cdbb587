"""
A proxy between shipper and engine that can be told to misbehave.

It speaks just enough HTTP to tell requests apart: one request a connection, bodies with a length, answers passed on as
they are. What it does with a bulk request is up to its ``behaviour``; everything else goes through.
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
class Request:
    """
    One request as it came.

    Attributes:
        head: Up to the empty line, which is left out.
        body: What follows.
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
        """Return what the engine is sent. It closes the connection after its answer, which shows the answer's end."""
        return _closing(self.head) + _END_OF_HEAD + self.body


Forward = Callable[[Request], Awaitable[bytes]]
"""Brings a request to the engine and returns its whole answer. Raises OSError if there is none."""

Behaviour = Callable[[Request, Forward], Awaitable[bytes]]
"""Returns what is sent back before the connection is closed: an answer, a part of one, or nothing."""


async def pass_on(request: Request, forward: Forward) -> bytes:
    """Be no more than a proxy."""
    return await forward(request)


class Proxy:
    """
    Listens on a free port of 127.0.0.1, in a thread of its own.

    Attributes:
        behaviour: What it does with bulk requests. May be changed at any time; one that has begun is not disturbed.
        url: Where it answers.
    """

    def __init__(self, engine_url: str) -> None:
        address = urlsplit(engine_url)
        self._engine = (address.hostname, address.port)
        self.behaviour: Behaviour = pass_on
        self.url = ""

    async def listen(self) -> asyncio.Server:
        """Begin to answer."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", limit=_HEAD_BYTES)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # Whoever leaves early, on either side, is what this is about.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                writer.write(await self._answer(await _read(reader)))
                await writer.drain()
        finally:
            writer.close()

    async def _answer(self, request: Request) -> bytes:
        behaviour = self.behaviour if request.is_bulk else pass_on
        return await behaviour(request, self._forward)

    async def _forward(self, request: Request) -> bytes:
        reader, writer = await asyncio.open_connection(*self._engine)
        try:
            writer.write(request.to_forward())
            head, end, body = (await reader.read()).partition(_END_OF_HEAD)
            # Or the shipper would try this connection again, and take its end for a cut.
            return _closing(head) + end + body if end else b""
        finally:
            writer.close()


def _closing(head: bytes) -> bytes:
    """Return *head*, of a request or an answer, with the word that the connection ends after this."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"connection: close"])


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(_END_OF_HEAD)).removesuffix(_END_OF_HEAD)
    _, found, length = head.lower().partition(b"content-length:")
    body = await reader.readexactly(int(length.partition(b"\r\n")[0])) if found else b""
    return Request(head=head, body=body)


@contextmanager
def proxying(engine_url: str) -> Iterator[Proxy]:
    """Run a `Proxy` before the engine at *engine_url* until the end of the block."""
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
