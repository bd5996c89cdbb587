"""``POST /v1/chat/completions``."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

import inferlog
from inferlog_server.inference.backend import Backend
from inferlog_server.inference.deadline import before_deadline
from inferlog_server.inference.errors import InferenceError
from inferlog_server.inference.generation import Finished, Piece
from inferlog_server.inference.versions import Catalog, full_name
from inferlog_server.routes.body import read_body
from inferlog_server.routes.chat_request import generation_request, parse
from inferlog_server.routes.chat_response import DONE, ChatResponse, event
from inferlog_server.routes.client import until_client_leaves
from inferlog_server.routes.openai_error import openai_error
from inferlog_server.routes.recording import Record, record_error
from inferlog_server.routes.schemas import CHAT_ANSWERS, CHAT_BODY

Answer = AsyncGenerator[Piece | Finished, None]
Respond = Callable[[Piece | Finished], ChatResponse]
"""Makes the response to a request once an item of the answer is there: only then is it sure which version answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may take; see `Settings` for each."""

    max_body_bytes: int
    body_timeout_seconds: float
    max_tokens: int
    deadline_seconds: float


def chat_router(backend: Backend, catalog: Catalog, limits: Limits, record: Record) -> APIRouter:
    """Return the route through which the versions of *catalog*, run by *backend*, answer; *record* sees each answer."""
    router = APIRouter()

    @router.post("/v1/chat/completions", responses=CHAT_ANSWERS, openapi_extra=CHAT_BODY)
    async def chat_completions(request: Request) -> Response:
        """Answer a conversation, whole or as a stream."""
        arrived = time.perf_counter()
        inferlog.bind_inference(operation_name="chat")
        body = await read_body(request, limit_bytes=limits.max_body_bytes, timeout_seconds=limits.body_timeout_seconds)
        chat = parse(body)
        version = catalog.choose(chat.model)
        inferlog.bind_inference(model_name=catalog.model_name, model_version=version.name)
        generation = generation_request(chat, version, max_tokens_limit=limits.max_tokens)
        items = before_deadline(backend.generate(generation), deadline_seconds=limits.deadline_seconds)
        answer = record(items, generation.messages, arrived)

        def respond(item: Piece | Finished) -> ChatResponse:
            model = full_name(catalog.model_name, item.version_name or version.name)
            return ChatResponse(model=model, fingerprint=version.fingerprint)

        if chat.stream:
            return await _streamed(answer, request, respond, usage_apart=chat.usage_apart)
        return await _whole(answer, request, respond)

    return router


async def _whole(answer: Answer, request: Request, respond: Respond) -> Response:
    texts: list[str] = []
    async with until_client_leaves(request.receive), aclosing(answer):
        async for item in answer:
            match item:
                case Piece():
                    texts.append(item.text)
                case Finished():
                    completion = respond(item).completion("".join(texts), item)
    return Response(completion, media_type="application/json")


async def _streamed(answer: Answer, request: Request, respond: Respond, *, usage_apart: bool) -> Response:
    """Begin the response with the model's first token: an error before it has a status of its own."""
    try:
        async with until_client_leaves(request.receive):
            first = await anext(answer)
    except BaseException:
        await answer.aclose()
        raise
    return _AnswerStream(_events(first, answer, respond(first), usage_apart=usage_apart), answer)


class _AnswerStream(StreamingResponse):
    """Server-sent events whose *answer* ends with them, also where the client left before the first."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], answer: Answer) -> None:
        super().__init__(events, headers={"cache-control": "no-store"})
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Here and not left to the collector: the event is written next, and wants the token counts.
            await self._answer.aclose()


async def _events(
    first: Piece | Finished, answer: Answer, response: ChatResponse, *, usage_apart: bool
) -> AsyncGenerator[bytes, None]:
    def chunk(item: Piece | Finished) -> bytes:
        if isinstance(item, Piece):
            return response.text_chunk(item.text)
        return response.last_chunks(item, usage_apart=usage_apart)

    yield response.first_chunk() + chunk(first)
    try:
        async for item in answer:
            yield chunk(item)
    except InferenceError as error:
        failure = openai_error(error)
        record_error(failure)
        yield event(failure.body())
    yield DONE
