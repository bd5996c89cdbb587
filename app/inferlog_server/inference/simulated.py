"""A model that only takes its time: for load, where the service is measured and not the processor."""

import asyncio
import itertools
import math
import random
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from inferlog_server.inference.admission import Admission
from inferlog_server.inference.errors import ModelFailedError, PromptTooLongError
from inferlog_server.inference.generation import Admitted, Finished, GenerationRequest, Item, Piece, Usage
from inferlog_server.inference.versions import SimulatedFigures

# After the first token the answer comes in this many pieces, however long it is: a wait costs the
# event loop as much as the rest of the request.
_PIECES = 4
_WORDS = ("once", "there", "was", "a", "model", "that", "knew", "how", "long", "it", "took")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    How one simulated generation will go.

    Attributes:
        first_token_seconds: From the start to the first token.
        rest_seconds: From there to the last one.
        output_tokens: 1 or more.
        cut: Whether the answer would have been longer than the request allows.
        fails: Whether it fails when its first token was due.
    """

    first_token_seconds: float
    rest_seconds: float
    output_tokens: int
    cut: bool
    fails: bool


def plan(figures: SimulatedFigures, *, seed: str, max_tokens: int) -> Plan:
    """Draw one generation: the same arguments give the same plan. *seed* names the request."""
    draw = random.Random(seed)  # noqa: S311 (a simulation, no secret)
    wanted = max(1, round(_lognormal(draw, figures.output_tokens_median, figures.sigma)))
    output_tokens = min(wanted, max_tokens)
    first_token_seconds = _lognormal(draw, figures.first_token_median_seconds, figures.sigma)
    token_seconds = _lognormal(draw, figures.token_median_seconds, figures.sigma)
    return Plan(
        first_token_seconds=first_token_seconds,
        rest_seconds=token_seconds * (output_tokens - 1),
        output_tokens=output_tokens,
        cut=wanted > max_tokens,
        fails=draw.random() < figures.failure_share,
    )


def _lognormal(draw: random.Random, median: float, sigma: float) -> float:
    return median * math.exp(draw.gauss(0.0, sigma))


class SimulatedBackend:
    """
    Answers with plausible figures and no meaning.

    Deterministic: the n-th request of a process has the same plan in every run with the same seed.

    Attributes:
        ready: False once it is closed.
    """

    def __init__(self, *, seed: int, context_tokens: int, places: int, waiting_limit: int) -> None:
        """
        Make the model.

        Args:
            seed: What all plans are drawn from.
            context_tokens: Longer prompts are refused; a word counts as a token.
            places: Generations that run at once.
            waiting_limit: Requests that may wait for one of the places.
        """
        self.ready = True
        self._seed = seed
        self._context_tokens = context_tokens
        self._admission = Admission(places=places, waiting_limit=waiting_limit)
        self._numbers = itertools.count(1)

    @property
    def waiting_requests(self) -> int:
        """How many requests wait for a place."""
        return self._admission.waiting_requests

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Item, None]:
        """See `Backend.generate`."""
        input_tokens = sum(len(message.text.split()) for message in request.messages)
        if input_tokens > self._context_tokens:
            raise PromptTooLongError(prompt_tokens=input_tokens, context_tokens=self._context_tokens)
        version = request.version
        planned = plan(
            version.simulated,
            seed=f"{self._seed}/{version.name}/{next(self._numbers)}",
            max_tokens=request.max_tokens,
        )
        queue_seconds = await self._admission.acquire()
        started = time.perf_counter()
        try:
            yield Admitted(queue_seconds=queue_seconds, batch_size=self._admission.running_requests)
            async for piece in _pieces(planned, input_tokens):
                yield piece
            yield Finished(
                reason="length" if planned.cut else "stop",
                usage=Usage(input_tokens=input_tokens, output_tokens=planned.output_tokens),
                model_seconds=time.perf_counter() - started,
            )
        finally:
            self._admission.release()

    async def close(self) -> None:
        """Answer no more."""
        self.ready = False


async def _pieces(planned: Plan, input_tokens: int) -> AsyncGenerator[Piece, None]:
    await asyncio.sleep(planned.first_token_seconds)
    if planned.fails:
        raise ModelFailedError("simulated failure")
    yield _piece(0, 1, input_tokens)
    rest = planned.output_tokens - 1
    sent = 1
    for number in range(1, _PIECES + 1):
        until = 1 + rest * number // _PIECES
        if until == sent:
            continue
        await asyncio.sleep(planned.rest_seconds * (until - sent) / rest)
        yield _piece(sent, until, input_tokens)
        sent = until


def _piece(start: int, end: int, input_tokens: int) -> Piece:
    words = (_WORDS[index % len(_WORDS)] for index in range(start, end))
    text = " ".join(words)
    return Piece(
        text=text if start == 0 else f" {text}",
        usage=Usage(input_tokens=input_tokens, output_tokens=end),
    )
