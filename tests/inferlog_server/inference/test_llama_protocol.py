from typing import Any

import pytest

from inferlog_server.inference.errors import ModelFailedError, PromptTooLongError
from inferlog_server.inference.generation import GenerationRequest, Message, Piece, Usage
from inferlog_server.inference.llama_protocol import LlamaTranscript, build_request_body
from inferlog_server.inference.versions import Version


def build_request(**more: Any) -> GenerationRequest:
    given: dict[str, Any] = {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9} | more
    return GenerationRequest(version=Version(name="v1"), messages=(Message(role="user", text="Hi"),), **given)


def build_chunk(content: str | None = None, *, finish_reason: str | None = None, predicted: int = 0) -> dict[str, Any]:
    return {
        "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}],
        "timings": {"cache_n": 4, "prompt_n": 6, "predicted_n": predicted},
    }


def test_request_body_contains_the_request() -> None:
    body = build_request_body(build_request(stop=("a", "b"), seed=7))

    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert (body["max_tokens"], body["temperature"], body["top_p"], body["seed"]) == (5, 0.5, 0.9, 7)
    assert body["stop"] == ["a", "b"]
    assert body["stream"]


@pytest.mark.parametrize("seed", [-1, 2**32 - 1, 2**32, -(2**70), 2**70])
def test_request_body_maps_any_seed_to_one_that_llama_cpp_accepts(seed: int) -> None:
    assert 0 <= build_request_body(build_request(seed=seed))["seed"] < 2**32 - 1


def test_request_body_has_no_seed_when_the_request_has_none() -> None:
    assert "seed" not in build_request_body(build_request())


def test_transcript_returns_text_with_the_counts_so_far() -> None:
    transcript = LlamaTranscript()

    assert transcript.read(build_chunk("Hel", predicted=1)) == Piece(
        text="Hel", usage=Usage(input_tokens=10, output_tokens=1, cached_tokens=4)
    )
    assert transcript.usage is None


def test_transcript_returns_no_piece_when_a_chunk_has_no_text() -> None:
    transcript = LlamaTranscript()

    assert transcript.read(build_chunk(None)) is None
    assert transcript.read(build_chunk("")) is None
    assert transcript.read({"choices": [{"index": 0, "delta": {}, "finish_reason": None}]}) is None


def test_transcript_takes_reason_and_final_counts_from_the_last_chunks() -> None:
    transcript = LlamaTranscript()
    transcript.read(build_chunk(finish_reason="length"))
    transcript.read(
        {
            "choices": [],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
        }
    )

    assert transcript.finish_reason == "length"
    assert transcript.usage == Usage(input_tokens=10, output_tokens=5, cached_tokens=4)


def test_transcript_raises_with_the_size_when_the_prompt_is_too_long() -> None:
    error = {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 3000, "n_ctx": 2048}
    with pytest.raises(PromptTooLongError) as failure:
        LlamaTranscript().read({"error": error})

    assert (failure.value.prompt_tokens, failure.value.context_tokens) == (3000, 2048)


def test_transcript_raises_model_failed_for_any_other_error() -> None:
    with pytest.raises(ModelFailedError, match="out of memory"):
        LlamaTranscript().read({"error": {"code": 500, "type": "server_error", "message": "out of memory"}})
