"""Fast client of chat completions: one process, persistent connections, no HTTP library."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

_END_OF_HEAD = b"\r\n\r\n"
_END_OF_CHUNKS = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseTimes:
    """
    Times of one response.

    Attributes:
        first_seconds: From the request to the first byte of the body; of a stream, to its first token.
        whole_seconds: From the request to the last byte.
    """

    first_seconds: float
    whole_seconds: float


def build_chat_request(model: str, *, stream: bool) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "Tell me a story."}], "stream": stream}
    content = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        "host: 127.0.0.1\r\n"
        "accept: application/json\r\n"
        "user-agent: benchmark\r\n"
        "authorization: Bearer unused\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Connection(asyncio.Protocol):
    """Connection for one request at a time; parses only the end of a response."""

    @classmethod
    async def open(cls, url: str) -> Self:
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        _, connection = await asyncio.get_running_loop().create_connection(cls, address.hostname, address.port)
        return connection

    _transport: asyncio.Transport
    _answer: asyncio.Future[ResponseTimes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @property
    def is_open(self) -> bool:
        """Whether the service has kept it open."""
        return not self._transport.is_closing()

    def ask(self, request: bytes) -> asyncio.Future[ResponseTimes]:
        self._received = b""
        self._first_seconds = 0.0
        self._answer = asyncio.get_running_loop().create_future()
        self._began = time.perf_counter()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        seconds = time.perf_counter() - self._began
        self._received += data
        head, _, body = self._received.partition(_END_OF_HEAD)
        if not body:
            return
        self._first_seconds = self._first_seconds or seconds
        if not head.startswith(b"HTTP/1.1 200"):
            self._answer.set_exception(RuntimeError(f"unexpected response: {self._received[:500]!r}"))
        elif _is_complete(head, body):
            self._answer.set_result(ResponseTimes(first_seconds=self._first_seconds, whole_seconds=seconds))

    def connection_lost(self, _: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_exception(ConnectionError("the service has closed the connection"))

    def close(self) -> None:
        self._transport.close()


def _is_complete(head: bytes, body: bytes) -> bool:
    _, found, length = head.lower().partition(b"content-length: ")
    if found:
        return len(body) >= int(length.partition(b"\r\n")[0])
    return body.endswith(_END_OF_CHUNKS)


async def send_requests(
    connections: Sequence[Connection], request: bytes, *, requests: int, pause_seconds: float = 0.0
) -> list[ResponseTimes]:
    """Send *request* *requests* times in all, one after the other on each of the *connections*."""
    turns = iter(range(requests))

    async def one_after_the_other(connection: Connection) -> list[ResponseTimes]:
        answers = []
        for _ in turns:
            answers.append(await connection.ask(request))
            if pause_seconds:
                await asyncio.sleep(pause_seconds)
        return answers

    answers = await asyncio.gather(*map(one_after_the_other, connections))
    return [answer for some in answers for answer in some]


class InstantServer(asyncio.Protocol):
    """Service that responds at once, to measure the client's own time."""

    _ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        # The client's requests are small enough to come in one piece.
        self._transport.write(self._ANSWER)
