"""OpenAI's protocol as a client: request bodies, streamed events and errors of the upstream server. No I/O."""

import re
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inferlog_server.inference.errors import (
    InferenceError,
    UpstreamFailedError,
    UpstreamRefusedError,
    UpstreamTimeoutError,
)
from inferlog_server.inference.generation import GenerationEnd, GenerationRequest, Piece, Usage
from inferlog_server.inference.versions import NAME_PATTERN, format_full_name

_FORWARDED_IF_SET = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed")
_DONE = b"[DONE]"
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\[\]-]{0,63}", re.ASCII)
_MESSAGE_LIMIT_CHARACTERS = 1_000
# These reject the gateway's credentials or permissions, which the client cannot fix.
_GATEWAY_REJECTED = frozenset({401, 402, 403, 407})
_TIMED_OUT = frozenset({408, 504})


def build_request_body(request: GenerationRequest, model_name: str) -> dict[str, Any]:
    """
    Return the body for *request*.

    It always streams, because otherwise the first token cannot be timed. Sampling parameters are included only if the
    client set them; ``max_tokens`` is always included, so that this service's limit applies.
    """
    version = request.version
    body: dict[str, Any] = {
        "model": version.upstream_model or format_full_name(model_name, version.name),
        "messages": [{"role": message.role, "content": message.text} for message in request.messages],
        "max_tokens": request.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.stop:
        body["stop"] = list(request.stop)
    return body | {name: getattr(request, name) for name in _FORWARDED_IF_SET if name in request.client_fields}


class _Lenient(BaseModel):
    # Servers send different additional fields.
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Delta(_Lenient):
    content: str | None = None


class _Choice(_Lenient):
    delta: _Delta | None = None
    finish_reason: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None


class _CachedTokens(_Lenient):
    cached_tokens: Annotated[int, Field(ge=0)] | None = None


class _Usage(_Lenient):
    prompt_tokens: Annotated[int, Field(ge=0)]
    completion_tokens: Annotated[int, Field(ge=0)] = 0
    prompt_tokens_details: _CachedTokens | None = None


class _Chunk(_Lenient):
    model: str | None = None
    choices: tuple[_Choice, ...] = ()
    usage: _Usage | None = None
    error: object = None


class UpstreamTranscript:
    """State of one response, updated event by event."""

    def __init__(self, model_name: str) -> None:
        self._model_name = model_name
        self._version_name: str | None = None
        self._finish_reason: str | None = None
        self._usage: Usage | None = None

    def read(self, data: bytes) -> Piece | None:
        """
        Read the *data* of the next event and return its text, if any.

        Raises:
            UpstreamFailedError: If the event is an error, or is not valid.
        """
        if data == _DONE:
            return None
        try:
            chunk = _Chunk.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(step) for step in first["loc"])
            raise UpstreamFailedError("it sent an event that is not valid", detail=f"{where}: {first['msg']}") from None
        if chunk.error is not None:
            raise UpstreamFailedError("it ended its response with an error")
        return self._take(chunk)

    def finish(self, *, model_seconds: float) -> GenerationEnd:
        """
        Return the last item of a complete response.

        Raises:
            UpstreamFailedError: If the response is incomplete.
        """
        if self._finish_reason is None:
            raise UpstreamFailedError("its response is incomplete")
        return GenerationEnd(
            reason=self._finish_reason,
            usage=self._usage,
            model_seconds=model_seconds,
            version_name=self._version_name,
        )

    def _take(self, chunk: _Chunk) -> Piece | None:
        model_name, _, version_name = (chunk.model or "").partition(":")
        if model_name == self._model_name and re.fullmatch(NAME_PATTERN, version_name):
            self._version_name = version_name
        if chunk.usage is not None:
            self._usage = _to_usage(chunk.usage)
        text = ""
        for choice in chunk.choices:
            text += (choice.delta.content if choice.delta else None) or ""
            self._finish_reason = choice.finish_reason or self._finish_reason
        return Piece(text=text, usage=self._usage, version_name=self._version_name) if text else None


def to_inference_error(status: int, body: bytes, retry_after: str | None) -> InferenceError:
    """
    Translate a response of the upstream server other than 2xx.

    Args:
        status: HTTP status code.
        body: Body of the response, or its beginning.
        retry_after: Value of the header ``Retry-After``.
    """
    if status in _TIMED_OUT:
        return UpstreamTimeoutError("it did not answer in time", detail=f"status {status}")
    if status in _GATEWAY_REJECTED:
        return UpstreamFailedError("it rejected the gateway", detail=f"status {status}")
    if not 400 <= status < 500:
        return UpstreamFailedError(f"it answered with status {status}")
    try:
        error = _ErrorBody.model_validate_json(body).error
    except ValidationError:
        error = _Error()
    return UpstreamRefusedError(
        status=status,
        message=(error.message or "The upstream service rejected the request")[:_MESSAGE_LIMIT_CHARACTERS],
        kind=_as_word(error.type) or "invalid_request_error",
        code=_as_word(error.code),
        param=_as_word(error.param),
        retry_after_seconds=int(retry_after) if retry_after and re.fullmatch(r"[0-9]{1,6}", retry_after) else None,
    )


class _Error(_Lenient):
    message: str | None = None
    type: object = None
    param: object = None
    code: object = None


class _ErrorBody(_Lenient):
    error: _Error


def _to_usage(usage: _Usage) -> Usage:
    details = usage.prompt_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_tokens=(details.cached_tokens if details else None) or 0,
    )


def _as_word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


_DATA = b"data:"


class EventTooLongError(Exception):
    """A line of a stream is longer than the limit."""


async def read_event_data(chunks: AsyncIterable[bytes], *, limit_bytes: int) -> AsyncGenerator[bytes, None]:
    """
    Yield the data of each event in a stream, one line per event, as OpenAI's streams use them. Skip empty data.

    Lines end with a line feed or with a carriage return and a line feed. Other line ends of Unicode are part of the
    data. *chunks* may cut the stream anywhere.

    Raises:
        EventTooLongError: If a line has more than *limit_bytes*.
    """
    unfinished = bytearray()
    async for chunk in chunks:
        unfinished += chunk
        *lines, unfinished = unfinished.split(b"\n")
        if max(map(len, (*lines, unfinished))) > limit_bytes:
            raise EventTooLongError(f"an event of the stream is larger than {limit_bytes} bytes")
        for line in lines:
            if line.startswith(_DATA) and (data := line[len(_DATA) :].strip()):
                yield bytes(data)
