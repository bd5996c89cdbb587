"""One generation as plain data: what is asked of a model, and what comes back piece by piece."""

from dataclasses import dataclass

from inferlog_server.inference.versions import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    One turn of the conversation.

    Attributes:
        role: ``system``, ``user`` or ``assistant``.
        text: What was said.
    """

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """
    What a model is asked to do, with every default already filled in.

    Attributes:
        version: Which version answers.
        messages: The conversation so far, oldest first; at least one.
        max_tokens: The answer ends here at the latest; 1 or more.
        temperature: 0 takes the likeliest token each time.
        top_p: Share of the probability mass that is sampled from, above 0 and up to 1.
        frequency_penalty: -2 to 2; above 0 makes frequent tokens rarer.
        presence_penalty: -2 to 2; above 0 makes tokens rarer once they have appeared.
        stop: The answer ends before any of these.
        seed: Same seed, same answer, as far as the model's arithmetic allows; ``None`` = a new one each time.
        given: Which of these the client itself has stated; a backend that only forwards leaves the others
            to whoever it asks.
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
    given: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """
    Tokens as the model counts them.

    Attributes:
        input_tokens: The whole prompt, its template included.
        output_tokens: What was generated so far.
        cached_tokens: Those of *input_tokens* that an earlier request had already computed.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """
    The request left the queue, and the model begins.

    Attributes:
        queue_seconds: What it waited.
        batch_size: How many generations the model computes together by now, this one among them; ``None`` = unknown.
    """

    queue_seconds: float
    batch_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """
    Some more of the answer.

    Attributes:
        text: Never empty.
        usage: The tokens used up to here; ``None`` where the model tells them at the end only.
        version_name: Which version answers, where that was decided elsewhere; ``None`` = the request's.
    """

    text: str
    usage: Usage | None
    version_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """
    The answer is complete.

    Attributes:
        reason: ``stop``, or ``length`` if *max_tokens* or the context cut it.
        usage: The final counts; ``None`` where the model does not tell.
        model_seconds: From leaving the queue to the last token, as the worker measured it: a client
            that reads its stream slowly does not make the model look slow.
        version_name: As of a `Piece`.
    """

    reason: str
    usage: Usage | None
    model_seconds: float
    version_name: str | None = None


Item = Admitted | Piece | Finished
"""What a backend yields: one `Admitted`, any number of `Piece`, one `Finished`."""
