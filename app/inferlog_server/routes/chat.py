"""``POST /v1/chat/completions``."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from inferlog_server.inference.errors import InferenceError
from inferlog_server.inference.generation import Backend, GenerationEnd, Piece
from inferlog_server.inference.limits import enforce_deadline
from inferlog_server.inference.versions import Catalog, format_full_name
from inferlog_server.routes.chat_request import build_generation_request, parse_chat_request
from inferlog_server.routes.chat_response import DONE, ChatResponse, encode_event
from inferlog_server.routes.client import read_body, stop_when_client_leaves
from inferlog_server.routes.errors import to_openai_error
from inferlog_server.routes.recording import Recorder
from inferlog_server.routes.schemas import CHAT_BODY, CHAT_RESPONSES

GenerationItems = AsyncGenerator[Piece | GenerationEnd, None]
MakeResponse = Callable[[Piece | GenerationEnd], ChatResponse]
"""Creates the response once the first item has arrived, because only then is the answering version known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on one request; see `ServerSettings`."""

    max_body_bytes: int
    body_timeout_seconds: float
    max_tokens: int
    deadline_seconds: float


def create_chat_router(backend: Backend, catalog: Catalog, limits: Limits, recorder: Recorder) -> APIRouter:
    """Return the chat route for the versions of *catalog*, run by *backend*. *recorder* records each request."""
    router = APIRouter()

    @router.post("/v1/chat/completions", responses=CHAT_RESPONSES, openapi_extra=CHAT_BODY)
    async def chat_completions(request: Request) -> Response:
        """Complete a conversation, as one object or as a stream."""
        arrived = time.perf_counter()
        recorder.bind(operation_name="chat")
        body = await read_body(request, limit_bytes=limits.max_body_bytes, timeout_seconds=limits.body_timeout_seconds)
        chat = parse_chat_request(body)
        version = catalog.choose(chat.model)
        recorder.bind(model_name=catalog.model_name, model_version=version.name)
        generation = build_generation_request(chat, version, max_tokens_limit=limits.max_tokens)
        items = enforce_deadline(backend.generate(generation), deadline_seconds=limits.deadline_seconds)
        answer = recorder.wrap_generation(items, generation.messages, arrived)

        def make_response(item: Piece | GenerationEnd) -> ChatResponse:
            model = format_full_name(catalog.model_name, item.version_name or version.name)
            return ChatResponse(model=model, fingerprint=version.fingerprint)

        if chat.stream:
            return await _answer_streamed(answer, request, make_response, recorder, separate_usage=chat.separate_usage)
        return await _answer_whole(answer, request, make_response)

    return router


async def _answer_whole(answer: GenerationItems, request: Request, make_response: MakeResponse) -> Response:
    texts: list[str] = []
    async with stop_when_client_leaves(request.receive), aclosing(answer):
        async for item in answer:
            match item:
                case Piece():
                    texts.append(item.text)
                case GenerationEnd():
                    completion = make_response(item).build_completion("".join(texts), item)
    return Response(completion, media_type="application/json")


async def _answer_streamed(
    answer: GenerationItems, request: Request, make_response: MakeResponse, recorder: Recorder, *, separate_usage: bool
) -> Response:
    """Start the response at the first token, so that an earlier error still has its own status code."""
    try:
        async with stop_when_client_leaves(request.receive):
            first = await anext(answer)
    except BaseException:
        await answer.aclose()
        raise
    return _EventStreamResponse(
        _encode_events(first, answer, make_response(first), recorder, separate_usage=separate_usage), answer
    )


class _EventStreamResponse(StreamingResponse):
    """Server-sent events that close *answer* at their end, even if the client disconnected before the first."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], answer: GenerationItems) -> None:
        super().__init__(events, headers={"cache-control": "no-store"})
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Not left to the garbage collector: the event is written next, and needs the token counts.
            await self._answer.aclose()


async def _encode_events(
    first: Piece | GenerationEnd,
    answer: GenerationItems,
    response: ChatResponse,
    recorder: Recorder,
    *,
    separate_usage: bool,
) -> AsyncGenerator[bytes, None]:
    def chunk(item: Piece | GenerationEnd) -> bytes:
        if isinstance(item, Piece):
            return response.build_text_chunk(item.text)
        return response.build_last_chunks(item, separate_usage=separate_usage)

    yield response.build_first_chunk() + chunk(first)
    try:
        async for item in answer:
            yield chunk(item)
    except InferenceError as error:
        failure = to_openai_error(error)
        recorder.bind(**failure.to_event_fields())
        yield encode_event(failure.to_body())
    yield DONE
