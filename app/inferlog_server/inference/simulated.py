"""The simulated backend: delays without a model, so that load tests measure the service and not the processor."""

import asyncio
import itertools
import math
import random
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from inferlog_server.inference.errors import ModelFailedError, PromptTooLongError
from inferlog_server.inference.generation import GenerationEnd, GenerationRequest, GenerationStart, Item, Piece, Usage
from inferlog_server.inference.limits import Admission
from inferlog_server.inference.versions import SimulatedFigures

# Number of pieces after the first token, for any length of response: one wait costs the event loop as much as the rest
# of the request.
_PIECES = 4
_WORDS = ("once", "there", "was", "a", "model", "that", "knew", "how", "long", "it", "took")


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """
    Course of one simulated generation.

    Attributes:
        first_token_seconds: Time from the start to the first token.
        rest_seconds: Time from the first token to the last one.
        output_tokens: Number of tokens; 1 or more.
        is_cut: True if ``max_tokens`` cuts the response off.
        fails: True if the generation fails instead of yielding its first token.
    """

    first_token_seconds: float
    rest_seconds: float
    output_tokens: int
    is_cut: bool
    fails: bool


def draw_course(figures: SimulatedFigures, *, seed: str, max_tokens: int) -> Course:
    """Draw one generation. The same arguments give the same course; *seed* is unique to the request."""
    draw = random.Random(seed)  # noqa: S311 (a simulation, no secret)
    drawn_tokens = max(1, round(_draw_lognormal(draw, figures.output_tokens_median, figures.sigma)))
    output_tokens = min(drawn_tokens, max_tokens)
    first_token_seconds = _draw_lognormal(draw, figures.first_token_median_seconds, figures.sigma)
    token_seconds = _draw_lognormal(draw, figures.token_median_seconds, figures.sigma)
    return Course(
        first_token_seconds=first_token_seconds,
        rest_seconds=token_seconds * (output_tokens - 1),
        output_tokens=output_tokens,
        is_cut=drawn_tokens > max_tokens,
        fails=draw.random() < figures.failure_share,
    )


def _draw_lognormal(draw: random.Random, median: float, sigma: float) -> float:
    return median * math.exp(draw.gauss(0.0, sigma))


class SimulatedBackend:
    """
    Backend with plausible delays and meaningless text.

    It is deterministic: the n-th request of a process has the same plan in every run with the same seed.

    Attributes:
        ready: True until the backend is closed.
    """

    def __init__(self, *, seed: int, context_tokens: int, slots: int, waiting_limit: int) -> None:
        """
        Create the backend.

        Args:
            seed: Seed of all plans.
            context_tokens: Maximum length of a prompt; a word counts as a token.
            slots: Number of parallel generations.
            waiting_limit: Maximum number of requests in the queue.
        """
        self.ready = True
        self._seed = seed
        self._context_tokens = context_tokens
        self._admission = Admission(slots=slots, waiting_limit=waiting_limit)
        self._numbers = itertools.count(1)

    @property
    def waiting_requests(self) -> int:
        """Number of requests in the queue."""
        return self._admission.waiting_requests

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Item, None]:
        """See `Backend.generate`."""
        input_tokens = sum(len(message.text.split()) for message in request.messages)
        if input_tokens > self._context_tokens:
            raise PromptTooLongError(prompt_tokens=input_tokens, context_tokens=self._context_tokens)
        version = request.version
        course = draw_course(
            version.simulated,
            seed=f"{self._seed}/{version.name}/{next(self._numbers)}",
            max_tokens=request.max_tokens,
        )
        queue_seconds = await self._admission.acquire()
        started = time.perf_counter()
        try:
            yield GenerationStart(queue_seconds=queue_seconds, batch_size=self._admission.running_requests)
            async for piece in _generate_pieces(course, input_tokens):
                yield piece
            yield GenerationEnd(
                reason="length" if course.is_cut else "stop",
                usage=Usage(input_tokens=input_tokens, output_tokens=course.output_tokens),
                model_seconds=time.perf_counter() - started,
            )
        finally:
            self._admission.release()

    async def close(self) -> None:
        """Stop accepting requests."""
        self.ready = False


async def _generate_pieces(course: Course, input_tokens: int) -> AsyncGenerator[Piece, None]:
    await asyncio.sleep(course.first_token_seconds)
    if course.fails:
        raise ModelFailedError("simulated failure")
    yield _build_piece(0, 1, input_tokens)
    rest = course.output_tokens - 1
    sent = 1
    for number in range(1, _PIECES + 1):
        until = 1 + rest * number // _PIECES
        if until == sent:
            continue
        await asyncio.sleep(course.rest_seconds * (until - sent) / rest)
        yield _build_piece(sent, until, input_tokens)
        sent = until


def _build_piece(start: int, end: int, input_tokens: int) -> Piece:
    words = (_WORDS[index % len(_WORDS)] for index in range(start, end))
    text = " ".join(words)
    return Piece(
        text=text if start == 0 else f" {text}",
        usage=Usage(input_tokens=input_tokens, output_tokens=end),
    )
