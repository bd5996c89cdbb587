"""What another service is asked over OpenAI's protocol, and how its answer is read. Pure."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inferlog_server.inference.errors import (
    InferenceError,
    UpstreamFailedError,
    UpstreamRefusedError,
    UpstreamTimeoutError,
)
from inferlog_server.inference.generation import Finished, GenerationRequest, Piece, Usage
from inferlog_server.inference.versions import NAME_PATTERN, full_name

_FORWARDED_IF_GIVEN = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed")
_DONE = b"[DONE]"
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\[\]-]{0,63}", re.ASCII)
_MESSAGE_LIMIT_CHARACTERS = 1_000
# Refusing this service's credentials, or its way of asking, is no fault of the client that asked this service.
_NO_FAULT_OF_THE_CLIENT = frozenset({401, 402, 403, 407})
_TOOK_TOO_LONG = frozenset({408, 504})


def request_body(request: GenerationRequest, model_name: str) -> dict[str, Any]:
    """
    Return the body for *request*.

    It streams, always: only so the first token can be timed. What the client left open is left open, less the length:
    this service's own limit holds whatever the other one takes for granted.
    """
    version = request.version
    body: dict[str, Any] = {
        "model": version.upstream_model or full_name(model_name, version.name),
        "messages": [{"role": message.role, "content": message.text} for message in request.messages],
        "max_tokens": request.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.stop:
        body["stop"] = list(request.stop)
    return body | {name: getattr(request, name) for name in _FORWARDED_IF_GIVEN if name in request.given}


class _Lenient(BaseModel):
    # Services differ in what they send besides.
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


class Transcript:
    """What one answer's events have said so far."""

    def __init__(self, model_name: str) -> None:
        self._model_name = model_name
        self._version_name: str | None = None
        self._finish_reason: str | None = None
        self._usage: Usage | None = None

    def read(self, data: bytes) -> Piece | None:
        """
        Take in the *data* of the next event and return the text it brings, if any.

        Raises:
            UpstreamFailedError: If it says that the answer ends here, or cannot be read.
        """
        if data == _DONE:
            return None
        try:
            chunk = _Chunk.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(step) for step in first["loc"])
            raise UpstreamFailedError(
                "it sent what is no part of an answer", detail=f"{where}: {first['msg']}"
            ) from None
        if chunk.error is not None:
            raise UpstreamFailedError("it broke its answer off with an error")
        return self._take(chunk)

    def finished(self, *, model_seconds: float) -> Finished:
        """
        Return what ends a complete answer.

        Raises:
            UpstreamFailedError: If it is not complete.
        """
        if self._finish_reason is None:
            raise UpstreamFailedError("it broke its answer off")
        return Finished(
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
            self._usage = _counts(chunk.usage)
        text = ""
        for choice in chunk.choices:
            text += (choice.delta.content if choice.delta else None) or ""
            self._finish_reason = choice.finish_reason or self._finish_reason
        return Piece(text=text, usage=self._usage, version_name=self._version_name) if text else None


def refusal(status: int, body: bytes, retry_after: str | None) -> InferenceError:
    """
    Return the error that an answer other than 2xx means.

    Args:
        status: HTTP status code.
        body: Of the answer, or its beginning.
        retry_after: The header of that name.
    """
    if status in _TOOK_TOO_LONG:
        return UpstreamTimeoutError("it did not answer in time", detail=f"status {status}")
    if status in _NO_FAULT_OF_THE_CLIENT:
        return UpstreamFailedError("it does not serve this service", detail=f"status {status}")
    if not 400 <= status < 500:
        return UpstreamFailedError(f"it answered with status {status}")
    try:
        said = _Refusal.model_validate_json(body).error
    except ValidationError:
        said = _Error()
    return UpstreamRefusedError(
        status=status,
        message=(said.message or "The request was refused")[:_MESSAGE_LIMIT_CHARACTERS],
        kind=_word(said.type) or "invalid_request_error",
        code=_word(said.code),
        param=_word(said.param),
        retry_after_seconds=int(retry_after) if retry_after and re.fullmatch(r"[0-9]{1,6}", retry_after) else None,
    )


class _Error(_Lenient):
    message: str | None = None
    type: object = None
    param: object = None
    code: object = None


class _Refusal(_Lenient):
    error: _Error


def _counts(usage: _Usage) -> Usage:
    details = usage.prompt_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_tokens=(details.cached_tokens if details else None) or 0,
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None
