"""What the routes take and answer, for /openapi.json: the shapes that `chat_response` and `openai_error` write."""

from typing import Annotated, Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from inferlog_server.routes.chat_request import ChatRequest

_COMPONENT = "#/components/schemas/{model}"
_STREAM = {"type": "string", "description": "Events `data: <chat.completion.chunk>`, at last `data: [DONE]`."}

Count = Annotated[int, Field(ge=0)]


class Error(BaseModel):
    """Why there is no answer."""

    message: str
    type: str
    param: str | None
    code: str


class Refusal(BaseModel):
    """An error, as OpenAI's clients expect it."""

    error: Error


class CachedTokens(BaseModel):
    """What of the prompt an earlier request had computed."""

    cached_tokens: Count


class UsedTokens(BaseModel):
    """Tokens as the model counts them."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    prompt_tokens_details: CachedTokens


class Said(BaseModel):
    """The model's turn."""

    role: Literal["assistant"]
    content: str
    refusal: None


class Choice(BaseModel):
    """The answer; there is one."""

    index: Literal[0]
    message: Said
    logprobs: None
    finish_reason: str


class ChatCompletion(BaseModel):
    """A whole answer. ``usage`` is absent where the model does not count."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: Annotated[list[Choice], Field(min_length=1, max_length=1)]
    usage: UsedTokens | None = None


class Model(BaseModel):
    """What a client may ask for."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"]
    data: list[Model]


class State(BaseModel):
    """How the service is."""

    status: str


def refusals(**reasons: str) -> dict[int | str, dict[str, Any]]:
    """Return the answers by status, ``_404="why"``, as FastAPI takes them; each is a `Refusal`."""
    return {int(status.removeprefix("_")): {"model": Refusal, "description": why} for status, why in reasons.items()}


CHAT_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ChatCompletion,
        "description": "The answer, whole or as a stream",
        "content": {"text/event-stream": {"schema": _STREAM}},
    },
    **refusals(
        _400="The request is wrong, or longer than the model's context",
        _404="No such model",
        _408="The body did not arrive in time",
        _413="The body is too large",
        _429="Too many requests wait; `Retry-After` says when to come back",
        _500="The model, or the service, failed",
        _502="The upstream service failed",
        _504="The answer took too long",
    ),
}

CHAT_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": _COMPONENT.format(model=ChatRequest.__name__)}}},
    }
}


def describe(app: FastAPI, *, max_tokens_limit: int) -> None:
    """
    Let *app* describe the bodies that its routes read by themselves, too.

    Args:
        app: With its routes.
        max_tokens_limit: No request may ask for a longer answer.
    """
    tokens = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": max_tokens_limit}, {"type": "null"}]}

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            for operations in app.openapi_schema["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)  # FastAPI's own, which no route here gives
            body = ChatRequest.model_json_schema(ref_template=_COMPONENT)
            body["properties"] |= {"max_tokens": tokens, "max_completion_tokens": tokens}
            app.openapi_schema["components"]["schemas"] |= {**body.pop("$defs"), ChatRequest.__name__: body}
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # as FastAPI's documentation says to do it
