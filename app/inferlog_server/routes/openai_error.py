"""Errors as OpenAI's clients expect them: ``{"error": {"message", "type", "param", "code"}}``."""

from collections.abc import Mapping
from typing import Any

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


class OpenAIError(Exception):
    """A request that is answered with an error; what is public of it is what the client sees."""

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
        State what is wrong.

        Args:
            status: HTTP status code.
            message: What was found and what was wanted. Never repeats what the client sent, unless there
                is a *recorded_message*.
            code: What a program tests for; the event's ``error.type``.
            kind: OpenAI's ``type``.
            param: Which part of the request it is about.
            headers: Sent along.
            recorded_message: What the event says in place of *message*.
        """
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.kind = kind
        self.param = param
        self.headers = dict(headers or {})
        self.recorded_message = message if recorded_message is None else recorded_message

    def body(self) -> dict[str, Any]:
        """Return the JSON object that says it."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def openai_error(error: InferenceError) -> OpenAIError:
    """Return how *error* looks to a client."""
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
            return _upstream_error(error)
        case _:
            return OpenAIError(
                status=500, message=f"The model failed: {error}", kind="server_error", code="model_failed"
            )


def _upstream_error(error: UpstreamRefusedError | UpstreamFailedError) -> OpenAIError:
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


def http_error(status: int, *, headers: Mapping[str, str] | None = None) -> OpenAIError:
    """Return how an HTTP error looks for which there is no reason of ours, such as an unknown path."""
    match status:
        case 404:
            message, code = "There is no such path here", "unknown_url"
        case 405:
            message, code = "This path does not take this method", "method_not_allowed"
        case _:
            message, code = "The request was refused", f"http_{status}"
    return OpenAIError(status=status, message=message, code=code, headers=headers)


def internal_error() -> OpenAIError:
    """Return what a client learns about a fault of ours: nothing but that it is one."""
    return OpenAIError(
        status=500, message="The service failed; its log says why", kind="server_error", code="internal_error"
    )
