"""Errors as OpenAI's clients expect them: ``{"error": {"message", "type", "param", "code"}}``."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from inferlog_server.inference.errors import (
    DeadlineExceededError,
    InferenceError,
    PromptTooLongError,
    QueueFullError,
    UnknownModelError,
    UpstreamFailedError,
    UpstreamRefusedError,
    UpstreamTimeoutError,
)
from inferlog_server.routes.recording import Recorder


class OpenAIError(Exception):
    """Error response to a request. Its public attributes are sent to the client, except *recorded_message*."""

    def __init__(
        self,
        *,
        status: int,
        message: str,
        code: str,
        kind: str = "invalid_request_error",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        recorded_message: str | None = None,
    ) -> None:
        """
        Create the error.

        Args:
            status: HTTP status code.
            message: Value found and value expected. Must not repeat text of the request, unless there is a
                *recorded_message*.
            code: Machine-readable code; also the event's ``error.type``.
            kind: OpenAI's ``type``.
            param: Part of the request that is wrong.
            headers: Headers of the response.
            recorded_message: Message in the event, instead of *message*.
        """
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.kind = kind
        self.param = param
        self.headers = dict(headers or {})
        self.recorded_message = message if recorded_message is None else recorded_message

    def to_body(self) -> dict[str, Any]:
        """Return the JSON object of the response."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def to_event_fields(self) -> dict[str, Any]:
        """Return the error's fields of the event."""
        return {"error_type": self.code, "error_message": self.recorded_message}


def to_openai_error(error: InferenceError) -> OpenAIError:
    """Translate *error* to the response for the client."""
    match error:
        case UnknownModelError():
            return OpenAIError(
                status=404,
                message=f"The model does not exist; available: {', '.join(error.available)}",
                code="model_not_found",
                param="model",
            )
        case PromptTooLongError():
            return OpenAIError(
                status=400,
                message=(
                    f"This model's context is {error.context_tokens} tokens, "
                    f"but the messages have {error.prompt_tokens}; shorten them"
                ),
                code="context_length_exceeded",
                param="messages",
            )
        case QueueFullError():
            return OpenAIError(
                status=429,
                message=f"The service is busy: {error}; try again later",
                kind="rate_limit_error",
                code="queue_full",
                headers={"retry-after": str(error.retry_after_seconds)},
            )
        case DeadlineExceededError():
            return OpenAIError(
                status=504,
                message=f"The generation was stopped: {error}",
                kind="server_error",
                code="deadline_exceeded",
            )
        case UpstreamRefusedError() | UpstreamFailedError():
            return _convert_upstream_error(error)
        case _:
            return OpenAIError(
                status=500, message=f"The model failed: {error}", kind="server_error", code="model_failed"
            )


def _convert_upstream_error(error: UpstreamRefusedError | UpstreamFailedError) -> OpenAIError:
    if isinstance(error, UpstreamRefusedError):
        retry_after = error.retry_after_seconds
        return OpenAIError(
            status=error.status,
            message=error.message,
            kind=error.kind,
            code=error.code or "upstream_refused",
            param=error.param,
            headers={} if retry_after is None else {"retry-after": str(retry_after)},
            recorded_message=f"The upstream service answered with status {error.status}",
        )
    timed_out = isinstance(error, UpstreamTimeoutError)
    message = f"The upstream service failed: {error}"
    return OpenAIError(
        status=504 if timed_out else 502,
        message=message,
        kind="server_error",
        code="upstream_timeout" if timed_out else "upstream_failed",
        recorded_message=f"{message} ({error.detail})" if error.detail else message,
    )


def make_http_error(status: int, *, headers: Mapping[str, str] | None = None) -> OpenAIError:
    """Return the response to an HTTP error of the framework, such as an unknown path."""
    match status:
        case 404:
            message, code = "This path does not exist", "unknown_url"
        case 405:
            message, code = "This path does not support this method", "method_not_allowed"
        case _:
            message, code = "The request was rejected", f"http_{status}"
    return OpenAIError(status=status, message=message, code=code, headers=headers)


def make_internal_error() -> OpenAIError:
    """Return the response to a fault of the service, without details."""
    return OpenAIError(
        status=500, message="The service failed; its log has the reason", kind="server_error", code="internal_error"
    )


class NoResponse(Response):
    """No bytes at all, for a client that has disconnected."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""


def install_error_handlers(app: FastAPI, recorder: Recorder) -> None:
    """Make *app* answer every exception with an error in OpenAI's format, recorded by *recorder*."""

    @app.exception_handler(OpenAIError)
    async def answer_openai_error(_: Request, error: OpenAIError) -> Response:
        return _answer(error, recorder)

    @app.exception_handler(InferenceError)
    async def answer_inference_error(_: Request, error: InferenceError) -> Response:
        return _answer(to_openai_error(error), recorder)

    @app.exception_handler(HTTPException)
    async def answer_http_error(_: Request, error: HTTPException) -> Response:
        return _answer(make_http_error(error.status_code, headers=error.headers), recorder)

    @app.exception_handler(ClientDisconnect)
    async def answer_disconnect(_: Request, __: ClientDisconnect) -> Response:
        return NoResponse()

    @app.exception_handler(Exception)
    async def answer_fault(_: Request, __: Exception) -> Response:
        # The framework raises the exception again after this response, for the event and the log.
        return JSONResponse(make_internal_error().to_body(), status_code=500)


def _answer(error: OpenAIError, recorder: Recorder) -> Response:
    recorder.bind(**error.to_event_fields())
    return JSONResponse(error.to_body(), status_code=error.status, headers=error.headers)
