"""Why a generation did not come to its end. How these look to a client is decided in ``routes``."""


class InferenceError(Exception):
    """A generation that failed for a reason this service foresees."""


class UnknownModelError(InferenceError):
    """Nobody here answers to the model's name; *available* lists who does."""

    def __init__(self, available: tuple[str, ...]) -> None:
        super().__init__("no such model")
        self.available = available


class QueueFullError(InferenceError):
    """As many requests wait as may wait; *retry_after_seconds* is a good moment to ask again."""

    def __init__(self, waiting: int, *, retry_after_seconds: int = 1) -> None:
        super().__init__(f"{waiting} requests are waiting")
        self.retry_after_seconds = retry_after_seconds


class DeadlineExceededError(InferenceError):
    """The generation took longer than *deadline_seconds*, its time in the queue included."""

    def __init__(self, deadline_seconds: float) -> None:
        super().__init__(f"no complete answer within {deadline_seconds:g} s")
        self.deadline_seconds = deadline_seconds


class PromptTooLongError(InferenceError):
    """The prompt's *prompt_tokens* do not fit into the model's *context_tokens*."""

    def __init__(self, *, prompt_tokens: int, context_tokens: int) -> None:
        super().__init__(f"{prompt_tokens} tokens in a context of {context_tokens}")
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens


class ModelFailedError(InferenceError):
    """The model itself gave up; the message is its own."""


class UpstreamRefusedError(InferenceError):
    """
    The service asked for the answer says that the request is at fault, or comes too early.

    Attributes:
        status: HTTP status code, 400 to 499.
        message: Its own words. They may repeat what the client wrote.
        kind: OpenAI's ``type``.
        code: OpenAI's ``code``, a word; ``None`` if it gave none.
        param: Which part of the request it is about; ``None`` if it did not say.
        retry_after_seconds: When to ask again; ``None`` if it did not say.
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
    """The service asked for the answer gave none, or only part of one; *detail* is for the log."""

    def __init__(self, what: str, *, detail: str = "") -> None:
        super().__init__(what)
        self.detail = detail


class UpstreamTimeoutError(UpstreamFailedError):
    """It gave none in time."""
