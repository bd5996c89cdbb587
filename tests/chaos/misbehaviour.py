"""Behaviours of the proxy for bulk requests."""

import asyncio
from http import HTTPStatus

import orjson

from tests.chaos.proxy import Behaviour, Forward, ProxyRequest

_TYPES = {429: "es_rejected_execution_exception", 503: "cluster_block_exception"}
_EVERY_OTHER = 2

STORED = b" 200 "
"""Part of a response whose documents were stored."""

ITEM_REFUSED = b'"status":429'
"""Part of a response that rejects at least one document."""


class CountingBehaviour:
    """
    Behaviour that counts the responses it has affected.

    Args:
        behaviour: Wrapped behaviour.
        shows: Part of an affected response.
        index: Count only requests for this index; empty for all.

    Attributes:
        count: Affected responses; incremented after the engine's response and before the shipper receives its own.
    """

    def __init__(self, behaviour: Behaviour, *, shows: bytes, index: str = "") -> None:
        self._behaviour = behaviour
        self._shows = shows
        self._index = index.encode()
        self.count = 0

    async def __call__(self, request: ProxyRequest, forward: Forward) -> bytes:
        """Run the behaviour and count its effect."""
        answer = await self._behaviour(request, forward)
        if self._shows in answer and self._index in request.target:
            self.count += 1
        return answer


def refuse(status: int) -> Behaviour:
    """Respond with *status*, as an overloaded or headless cluster does, and store nothing."""
    answer = _build_json_answer(status, {"error": {"type": _TYPES[status], "reason": "chaos"}, "status": status})

    async def behave(_request: ProxyRequest, _forward: Forward) -> bytes:
        return answer

    return behave


def delay(seconds: float) -> Behaviour:
    """Store the documents at once, and delay the response."""

    async def behave(request: ProxyRequest, forward: Forward) -> bytes:
        answer = await forward(request)
        await asyncio.sleep(seconds)
        return answer

    return behave


async def cut(request: ProxyRequest, forward: Forward) -> bytes:
    """Store the documents, and cut the response in the middle."""
    answer = await forward(request)
    return answer[: len(answer) // 2]


async def refuse_every_other(request: ProxyRequest, forward: Forward) -> bytes:
    """Store every second document, and reject the others with 429 in their items."""
    lines = request.body.splitlines(keepends=True)
    pairs = [lines[number : number + 2] for number in range(0, len(lines), 2)]
    taken = b"".join(line for pair in pairs[::_EVERY_OTHER] for line in pair)
    head = b"\r\n".join(_replace_length(line, len(taken)) for line in request.head.split(b"\r\n"))
    answer = await forward(ProxyRequest(head=head, body=taken))
    if STORED not in answer.partition(b"\r\n")[0]:
        return answer  # another fault has broken the engine: the response has no items
    items = iter(orjson.loads(_decode_body(answer))["items"])
    refused = {"create": {"status": 429, "error": {"type": _TYPES[429], "reason": "chaos"}}}
    mixed = [refused if number % _EVERY_OTHER else next(items) for number in range(len(pairs))]
    return _build_json_answer(200, {"errors": True, "items": mixed})


def _replace_length(line: bytes, length: int) -> bytes:
    return b"content-length: %d" % length if line.lower().startswith(b"content-length:") else line


def _decode_body(answer: bytes) -> bytes:
    """Return the body of a complete response, chunked or not."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        whole, body = whole + rest[:length], rest[length + 2 :] if length else b""
    return whole


def _build_json_answer(status: int, content: object) -> bytes:
    body = orjson.dumps(content)
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "content-type: application/json\r\nx-elastic-product: Elasticsearch\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
