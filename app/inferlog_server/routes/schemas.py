"""Schemas for /openapi.json, which describe the bodies that `chat_response` and `errors` write."""

from typing import Annotated, Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from inferlog_server.routes.chat_request import ChatRequest

_COMPONENT = "#/components/schemas/{model}"
_STREAM = {"type": "string", "description": "Events `data: <chat.completion.chunk>`, then `data: [DONE]`."}

Count = Annotated[int, Field(ge=0)]


class Error(BaseModel):
    """Reason for the error."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    """Error response in OpenAI's format."""

    error: Error


class CachedTokens(BaseModel):
    """Tokens of the prompt that an earlier request had already computed."""

    cached_tokens: Count


class UsedTokens(BaseModel):
    """Tokens as the model counts them."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    prompt_tokens_details: CachedTokens


class AssistantMessage(BaseModel):
    """Message of the model."""

    role: Literal["assistant"]
    content: str
    refusal: None


class Choice(BaseModel):
    """The only choice of a response."""

    index: Literal[0]
    message: AssistantMessage
    logprobs: None
    finish_reason: str


class ChatCompletion(BaseModel):
    """Whole response. ``usage`` is absent if the model does not report it."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: Annotated[list[Choice], Field(min_length=1, max_length=1)]
    usage: UsedTokens | None = None


class Model(BaseModel):
    """Model, or version of it, that a client can request."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All models and versions."""

    object: Literal["list"]
    data: list[Model]


class ServiceState(BaseModel):
    """State of the service."""

    status: str


def describe_errors(**reasons: str) -> dict[int | str, dict[str, Any]]:
    """Return error responses by status, ``_404="reason"``, in FastAPI's format; each body is an `ErrorBody`."""
    return {int(status.removeprefix("_")): {"model": ErrorBody, "description": why} for status, why in reasons.items()}


CHAT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ChatCompletion,
        "description": "The response, as one object or as a stream",
        "content": {"text/event-stream": {"schema": _STREAM}},
    },
    **describe_errors(
        _400="The request is not valid, or longer than the model's context",
        _404="No such model",
        _408="The body did not arrive in time",
        _413="The body is too large",
        _429="Too many requests are in the queue; retry after `Retry-After` seconds",
        _500="The model, or the service, failed",
        _502="The upstream service failed",
        _504="The response took too long",
    ),
}

CHAT_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": _COMPONENT.format(model=ChatRequest.__name__)}}},
    }
}


def extend_openapi(app: FastAPI, *, max_tokens_limit: int) -> None:
    """
    Add the request body of the chat route, which reads it without FastAPI, to the OpenAPI document of *app*.

    Args:
        app: Application with its routes.
        max_tokens_limit: Maximum of ``max_tokens``.
    """
    tokens = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": max_tokens_limit}, {"type": "null"}]}

    def build_openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            for operations in app.openapi_schema["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)  # FastAPI's default, which no route here returns
            body = ChatRequest.model_json_schema(ref_template=_COMPONENT)
            body["properties"] |= {"max_tokens": tokens, "max_completion_tokens": tokens}
            app.openapi_schema["components"]["schemas"] |= {**body.pop("$defs"), ChatRequest.__name__: body}
        return app.openapi_schema

    app.openapi = build_openapi  # type: ignore[method-assign]  # as in FastAPI's documentation
