import asyncio
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_server.inference.errors import ModelFailedError, PromptTooLongError, QueueFullError
from inferlog_server.inference.generation import GenerationEnd, GenerationRequest, GenerationStart, Item, Message, Piece
from inferlog_server.inference.simulated import SimulatedBackend, draw_course
from inferlog_server.inference.versions import SimulatedFigures, Version

INSTANT = {"first_token_median_seconds": 0, "token_median_seconds": 0}


def build_request(*, text: str = "one two three", max_tokens: int = 1000, **figures: Any) -> GenerationRequest:
    return GenerationRequest(
        version=Version(name="v1", simulated=SimulatedFigures(**INSTANT | figures)),
        messages=(Message(role="user", text=text),),
        max_tokens=max_tokens,
        temperature=0,
        top_p=1,
    )


def build_backend(*, seed: int = 1, slots: int = 10, waiting_limit: int = 10) -> SimulatedBackend:
    return SimulatedBackend(seed=seed, context_tokens=100, slots=slots, waiting_limit=waiting_limit)


async def collect_items(model: SimulatedBackend, generation: GenerationRequest) -> list[Item]:
    return [item async for item in model.generate(generation)]


@given(
    figures=st.builds(
        SimulatedFigures,
        output_tokens_median=st.floats(1, 500),
        sigma=st.floats(0, 3),
    ),
    seed=st.text(max_size=10),
    max_tokens=st.integers(1, 500),
)
def test_plan_is_valid_and_repeatable(figures: SimulatedFigures, seed: str, max_tokens: int) -> None:
    course = draw_course(figures, seed=seed, max_tokens=max_tokens)

    assert course == draw_course(figures, seed=seed, max_tokens=max_tokens)
    assert 1 <= course.output_tokens <= max_tokens
    assert course.first_token_seconds >= 0
    assert course.rest_seconds >= 0


def test_plans_have_the_configured_median() -> None:
    figures = SimulatedFigures(first_token_median_seconds=2, sigma=1)
    drawn = [draw_course(figures, seed=str(number), max_tokens=1).first_token_seconds for number in range(2000)]

    assert statistics.median(drawn) == pytest.approx(2, rel=0.1)
    assert max(drawn) > 10


@given(st.integers(1, 200))
def test_pieces_add_up_to_the_response_and_end_with_its_counts(output_tokens: int) -> None:
    generation = build_request(output_tokens_median=output_tokens, sigma=0)
    first, *pieces, last = asyncio.run(collect_items(build_backend(), generation))

    assert isinstance(first, GenerationStart)
    assert isinstance(last, GenerationEnd)
    assert last.reason == "stop"
    assert last.usage is not None
    assert (last.usage.input_tokens, last.usage.output_tokens) == (3, output_tokens)
    texts = [piece.text for piece in pieces if isinstance(piece, Piece)]
    assert len(texts) == len(pieces) <= 5
    assert len("".join(texts).split()) == output_tokens


def test_responses_repeat_with_the_same_seed() -> None:
    async def answers(seed: int) -> list[str]:
        model = build_backend(seed=seed)
        return [str((await collect_items(model, build_request()))[1:-1]) for _ in range(5)]

    assert asyncio.run(answers(5)) == asyncio.run(answers(5)) != asyncio.run(answers(6))
    assert len(set(asyncio.run(answers(5)))) > 1


def test_response_reports_length_when_it_reaches_max_tokens() -> None:
    *_, last = asyncio.run(
        collect_items(build_backend(), build_request(output_tokens_median=50, sigma=0, max_tokens=7))
    )

    assert isinstance(last, GenerationEnd)
    assert last.usage is not None
    assert (last.reason, last.usage.output_tokens) == ("length", 7)


def test_simulated_failures_have_their_share() -> None:
    async def failures() -> int:
        model = build_backend()
        results = [await asyncio.gather(collect_items(model, build_request(failure_share=0.25)), return_exceptions=True)
                   for _ in range(400)]  # fmt: skip
        return sum(isinstance(result, ModelFailedError) for (result,) in results)

    assert 60 < asyncio.run(failures()) < 140


def test_prompt_beyond_the_context_is_rejected() -> None:
    with pytest.raises(PromptTooLongError) as error:
        asyncio.run(collect_items(build_backend(), build_request(text="word " * 101)))
    assert (error.value.prompt_tokens, error.value.context_tokens) == (101, 100)


def test_closed_generation_releases_its_slot() -> None:
    async def scenario() -> None:
        model = build_backend(slots=1, waiting_limit=0)
        generation = model.generate(build_request(token_median_seconds=60))
        await anext(generation)
        with pytest.raises(QueueFullError):
            await collect_items(model, build_request())
        await generation.aclose()
        await collect_items(model, build_request())

    asyncio.run(scenario())


def test_backend_is_not_ready_when_closed() -> None:
    model = build_backend()
    asyncio.run(model.close())

    assert not model.ready
