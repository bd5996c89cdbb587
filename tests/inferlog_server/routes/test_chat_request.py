import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_server.inference.versions import Version
from inferlog_server.routes.chat_request import ChatRequest, generation_request, parse
from inferlog_server.routes.openai_error import OpenAIError

PLAIN: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
VERSION = Version(name="v1", temperature=0.5, top_p=0.8, max_tokens=33, seed=9)

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def parsed(**more: Any) -> ChatRequest:
    return parse(json.dumps(PLAIN | more).encode())


def refusal(body: bytes) -> OpenAIError | None:
    """Return how *body* is refused, or None if it is taken."""
    try:
        generation_request(parse(body), VERSION, max_tokens_limit=100)
    except OpenAIError as error:
        return error
    return None


@given(st.binary(max_size=200))
def test_bytes_by_chance_are_refused(body: bytes) -> None:
    error = refusal(body)

    assert error
    assert error.status == 400


@given(st.sampled_from(sorted(ChatRequest.model_fields)), any_json)
def test_any_value_in_any_field_is_taken_or_refused_with_the_fields_name(name: str, value: object) -> None:
    error = refusal(json.dumps(PLAIN | {name: value}).encode())

    if error:
        assert error.status == 400
        assert (error.param or "").startswith(name) or error.code == "invalid_json"


@given(any_json)
def test_any_message_is_taken_or_refused(message: object) -> None:
    error = refusal(json.dumps(PLAIN | {"messages": [message]}).encode())

    assert error is None or error.status == 400


def test_what_the_request_leaves_open_the_version_says() -> None:
    generation = generation_request(parsed(), VERSION, max_tokens_limit=100)

    assert (generation.temperature, generation.top_p, generation.max_tokens, generation.seed) == (0.5, 0.8, 33, 9)
    assert generation.stop == ()


def test_what_the_request_says_counts_also_where_it_is_0() -> None:
    generation = generation_request(
        parsed(temperature=0, top_p=1, max_tokens=1, seed=0, stop="x"), VERSION, max_tokens_limit=100
    )

    assert (generation.temperature, generation.top_p, generation.max_tokens, generation.seed) == (0, 1, 1, 0)
    assert generation.stop == ("x",)


def test_a_whole_number_is_whole_however_it_is_written() -> None:
    generation = generation_request(parsed(max_tokens=33.0, n=1.0, seed=9.0), VERSION, max_tokens_limit=100)
    assert (repr(generation.max_tokens), repr(generation.seed)) == ("33", "9")
    with pytest.raises(OpenAIError, match="max_completion_tokens: Input should be a valid integer"):
        parsed(max_completion_tokens=33.5)


@pytest.mark.parametrize(
    "more", [{"max_tokens": 7}, {"max_completion_tokens": 7}, {"max_tokens": 99, "max_completion_tokens": 7}]
)
def test_the_newer_name_of_max_tokens_wins(more: dict[str, Any]) -> None:
    assert generation_request(parsed(**more), VERSION, max_tokens_limit=100).max_tokens == 7


def test_the_limit_itself_is_allowed_and_one_more_is_not() -> None:
    generation_request(parsed(max_tokens=100), VERSION, max_tokens_limit=100)
    with pytest.raises(OpenAIError, match="at most 100"):
        generation_request(parsed(max_tokens=101), VERSION, max_tokens_limit=100)


@pytest.mark.parametrize(
    "harmless",
    [
        {"tools": []},
        {"tool_choice": "none"},
        {"response_format": {"type": "text"}},
        {"logprobs": False},
        {"top_logprobs": 0},
        {"n": 1},
    ],
)
def test_what_asks_for_nothing_is_passed_over(harmless: dict[str, Any]) -> None:
    parsed(**harmless)


@pytest.mark.parametrize(
    "unsupported",
    [
        {"tools": [{"type": "function"}]},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},
        {"top_logprobs": 2},
        {"logit_bias": {"1": 1}},
    ],
)
def test_what_would_be_missing_from_the_answer_is_refused(unsupported: dict[str, Any]) -> None:
    (name,) = unsupported
    with pytest.raises(OpenAIError, match=f"{name}: not supported") as error:
        parsed(**unsupported)
    assert error.value.param == name


def test_the_place_of_an_error_is_written_as_a_path() -> None:
    with pytest.raises(OpenAIError) as error:
        parsed(messages=[{"role": "user", "content": "a"}, {"role": "user", "content": 7}])
    assert error.value.param == "messages[1].content"
