"""Reasons why a generation fails. The routes translate them into responses."""


class InferenceError(Exception):
    """Failure of a generation for an expected reason."""


class UnknownModelError(InferenceError):
    """The requested model does not exist; *available* lists the valid names."""

    def __init__(self, available: tuple[str, ...]) -> None:
        super().__init__("no such model")
        self.available = available


class QueueFullError(InferenceError):
    """The queue is full; clients should retry after *retry_after_seconds*."""

    def __init__(self, waiting: int, *, retry_after_seconds: int = 1) -> None:
        super().__init__(f"{waiting} requests are in the queue")
        self.retry_after_seconds = retry_after_seconds


class DeadlineExceededError(InferenceError):
    """The generation took longer than *deadline_seconds*, its time in the queue included."""

    def __init__(self, deadline_seconds: float) -> None:
        super().__init__(f"no complete response within {deadline_seconds:g} s")
        self.deadline_seconds = deadline_seconds


class PromptTooLongError(InferenceError):
    """The prompt has *prompt_tokens* tokens, too many for the model's *context_tokens*."""

    def __init__(self, *, prompt_tokens: int, context_tokens: int) -> None:
        super().__init__(f"{prompt_tokens} tokens in a context of {context_tokens}")
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens


class ModelFailedError(InferenceError):
    """The model failed; the message is the model's own."""


class UpstreamRefusedError(InferenceError):
    """
    The upstream server rejected the request as wrong, or as too early.

    Attributes:
        status: HTTP status code, 400 to 499.
        message: Message of the upstream server. It may repeat text of the client's request.
        kind: OpenAI's ``type``.
        code: OpenAI's ``code``, one word; ``None`` if absent.
        param: Rejected part of the request; ``None`` if absent.
        retry_after_seconds: Seconds to wait before a retry; ``None`` if absent.
    """

    def __init__(
        self,
        *,
        status: int,
        message: str,
        kind: str,
        code: str | None = None,
        param: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.retry_after_seconds = retry_after_seconds


class UpstreamFailedError(InferenceError):
    """The upstream server sent no response, or an incomplete one; *detail* is for the event only."""

    def __init__(self, reason: str, *, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


class UpstreamTimeoutError(UpstreamFailedError):
    """The upstream server did not respond in time."""
