"""What the proxy can do to a bulk request."""

import asyncio
from http import HTTPStatus

import orjson

from tests.chaos.proxy import Behaviour, Forward, Request

_TYPES = {429: "es_rejected_execution_exception", 503: "cluster_block_exception"}
_EVERY_OTHER = 2

STORED = b" 200 "
"""Stands in an answer to documents that were taken."""

ITEM_REFUSED = b'"status":429'
"""Stands in an answer that refuses one of them."""


class Counted:
    """
    A behaviour that counts its answers in which it shows.

    Args:
        behaviour: What it does.
        shows: Stands in such an answer, as far as that is sent back.
        index: Only requests with documents for this one count; for any where it is empty.

    Attributes:
        count: Counted before the shipper has the answer, and after the engine has given its own.
    """

    def __init__(self, behaviour: Behaviour, *, shows: bytes, index: str = "") -> None:
        self._behaviour = behaviour
        self._shows = shows
        self._index = index.encode()
        self.count = 0

    async def __call__(self, request: Request, forward: Forward) -> bytes:
        """Do it, and count."""
        answer = await self._behaviour(request, forward)
        if self._shows in answer and self._index in request.target:
            self.count += 1
        return answer


def refuse(status: int) -> Behaviour:
    """Answer with *status*, as an overloaded or headless cluster does, and store nothing."""
    answer = _json_answer(status, {"error": {"type": _TYPES[status], "reason": "chaos"}, "status": status})

    async def behave(_request: Request, _forward: Forward) -> bytes:
        return answer

    return behave


def delay(seconds: float) -> Behaviour:
    """Store the documents at once, and hold the answer back."""

    async def behave(request: Request, forward: Forward) -> bytes:
        answer = await forward(request)
        await asyncio.sleep(seconds)
        return answer

    return behave


async def cut(request: Request, forward: Forward) -> bytes:
    """Store the documents, and break off in the midst of the answer."""
    answer = await forward(request)
    return answer[: len(answer) // 2]


async def refuse_every_other(request: Request, forward: Forward) -> bytes:
    """Store every second document, and answer for the others that the node has no room for them: 429 in the items."""
    lines = request.body.splitlines(keepends=True)
    pairs = [lines[number : number + 2] for number in range(0, len(lines), 2)]
    taken = b"".join(line for pair in pairs[::_EVERY_OTHER] for line in pair)
    head = b"\r\n".join(_with_length(line, len(taken)) for line in request.head.split(b"\r\n"))
    answer = await forward(Request(head=head, body=taken))
    if STORED not in answer.partition(b"\r\n")[0]:
        return answer  # the engine, which something else may have broken, says nothing of items
    items = iter(orjson.loads(_body_of(answer))["items"])
    refused = {"create": {"status": 429, "error": {"type": _TYPES[429], "reason": "chaos"}}}
    mixed = [refused if number % _EVERY_OTHER else next(items) for number in range(len(pairs))]
    return _json_answer(200, {"errors": True, "items": mixed})


def _with_length(line: bytes, length: int) -> bytes:
    return b"content-length: %d" % length if line.lower().startswith(b"content-length:") else line


def _body_of(answer: bytes) -> bytes:
    """Return the body of a whole answer; in one chunk or several, or as it is."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        whole, body = whole + rest[:length], rest[length + 2 :] if length else b""
    return whole


def _json_answer(status: int, content: object) -> bytes:
    body = orjson.dumps(content)
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "content-type: application/json\r\nx-elastic-product: Elasticsearch\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
