"""One generation as plain data: its request, the items it yields, and the interface of the backends that run it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from inferlog_server.inference.versions import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    One turn of the conversation.

    Attributes:
        role: ``system``, ``user`` or ``assistant``.
        text: Content of the message.
    """

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """
    Request to a backend, with all defaults of its version applied.

    Attributes:
        version: Version that answers.
        messages: The conversation so far, oldest first; at least one.
        max_tokens: Maximum length of the response; 1 or more.
        temperature: Sampling temperature; 0 always takes the likeliest token.
        top_p: Share of the probability mass to sample from, above 0 and up to 1.
        frequency_penalty: -2 to 2; above 0 makes frequent tokens rarer.
        presence_penalty: -2 to 2; above 0 makes tokens rarer once they have appeared.
        stop: Texts before which the response ends.
        seed: Seed of the sampling. The same seed gives the same response as far as the model's arithmetic allows;
            ``None`` = a new seed for each request.
        client_fields: Names of the fields that the client set; a backend that forwards leaves the others to the
            upstream server.
    """

    version: Version
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    top_p: float
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    client_fields: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """
    Tokens as the model counts them.

    Attributes:
        input_tokens: Tokens of the whole prompt, its template included.
        output_tokens: Tokens generated so far.
        cached_tokens: The part of *input_tokens* that an earlier request had already computed.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationStart:
    """
    The request has left the queue, and the model starts.

    Attributes:
        queue_seconds: Time in the queue.
        batch_size: Number of generations that the model now computes together, including this one; ``None`` = unknown.
    """

    queue_seconds: float
    batch_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """
    The next part of the response.

    Attributes:
        text: The new text, never empty.
        usage: Tokens so far; ``None`` if the model reports them only at the end.
        version_name: Version that answers, if the upstream server chose it; ``None`` = the request's.
    """

    text: str
    usage: Usage | None
    version_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationEnd:
    """
    The response is complete.

    Attributes:
        reason: ``stop``, or ``length`` if *max_tokens* or the context cut the response off.
        usage: Final token counts; ``None`` if the model does not report them.
        model_seconds: Time from the end of the queue to the last token, without the time that the client takes to
            read its stream.
        version_name: See `Piece`.
    """

    reason: str
    usage: Usage | None
    model_seconds: float
    version_name: str | None = None


Item = GenerationStart | Piece | GenerationEnd
"""Item of a generation: one `GenerationStart`, any number of `Piece`, one `GenerationEnd`."""


class Backend(Protocol):
    """Interface of everything that runs generations. The constructor loads the model, so a backend starts ready."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Item, None]:
        """
        Run *request* and yield `GenerationStart`, then each `Piece`, then `GenerationEnd`.

        Closing the generator early stops the generation.

        Raises:
            InferenceError: At any item, if the generation fails.
        """
        ...

    @property
    def ready(self) -> bool:
        """True if the backend accepts requests now."""
        ...

    @property
    def waiting_requests(self) -> int:
        """Number of requests in the queue."""
        ...

    async def close(self) -> None:
        """Stop open generations and free the model."""
        ...
