import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_server.inference.versions import Version
from inferlog_server.routes.chat_request import ChatRequest, build_generation_request, parse_chat_request
from inferlog_server.routes.errors import OpenAIError

PLAIN: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
VERSION = Version(name="v1", temperature=0.5, top_p=0.8, max_tokens=33, seed=9)

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def parse(**more: Any) -> ChatRequest:
    return parse_chat_request(json.dumps(PLAIN | more).encode())


def find_error(body: bytes) -> OpenAIError | None:
    """Return the error for *body*, or None if it is accepted."""
    try:
        build_generation_request(parse_chat_request(body), VERSION, max_tokens_limit=100)
    except OpenAIError as error:
        return error
    return None


@given(st.binary(max_size=200))
def test_random_bytes_are_rejected(body: bytes) -> None:
    error = find_error(body)

    assert error
    assert error.status == 400


@given(st.sampled_from(sorted(ChatRequest.model_fields)), any_json)
def test_any_value_in_any_field_is_accepted_or_rejected_with_the_field_name(name: str, value: object) -> None:
    error = find_error(json.dumps(PLAIN | {name: value}).encode())

    if error:
        assert error.status == 400
        assert (error.param or "").startswith(name) or error.code == "invalid_json"


@given(any_json)
def test_any_message_is_accepted_or_rejected(message: object) -> None:
    error = find_error(json.dumps(PLAIN | {"messages": [message]}).encode())

    assert error is None or error.status == 400


def test_request_takes_defaults_from_the_version_when_fields_are_unset() -> None:
    generation = build_generation_request(parse(), VERSION, max_tokens_limit=100)

    assert (generation.temperature, generation.top_p, generation.max_tokens, generation.seed) == (0.5, 0.8, 33, 9)
    assert generation.stop == ()


def test_request_fields_win_over_the_version_even_when_0() -> None:
    generation = build_generation_request(
        parse(temperature=0, top_p=1, max_tokens=1, seed=0, stop="x"), VERSION, max_tokens_limit=100
    )

    assert (generation.temperature, generation.top_p, generation.max_tokens, generation.seed) == (0, 1, 1, 0)
    assert generation.stop == ("x",)


def test_whole_number_is_accepted_as_integer_however_written() -> None:
    generation = build_generation_request(parse(max_tokens=33.0, n=1.0, seed=9.0), VERSION, max_tokens_limit=100)
    assert (repr(generation.max_tokens), repr(generation.seed)) == ("33", "9")
    with pytest.raises(OpenAIError, match="max_completion_tokens: Input should be a valid integer"):
        parse(max_completion_tokens=33.5)


@pytest.mark.parametrize(
    "more", [{"max_tokens": 7}, {"max_completion_tokens": 7}, {"max_tokens": 99, "max_completion_tokens": 7}]
)
def test_max_completion_tokens_wins_over_max_tokens(more: dict[str, Any]) -> None:
    assert build_generation_request(parse(**more), VERSION, max_tokens_limit=100).max_tokens == 7


def test_max_tokens_is_accepted_up_to_the_limit() -> None:
    build_generation_request(parse(max_tokens=100), VERSION, max_tokens_limit=100)
    with pytest.raises(OpenAIError, match="at most 100"):
        build_generation_request(parse(max_tokens=101), VERSION, max_tokens_limit=100)


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
def test_unsupported_field_without_effect_is_ignored(harmless: dict[str, Any]) -> None:
    parse(**harmless)


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
def test_unsupported_field_with_effect_is_rejected(unsupported: dict[str, Any]) -> None:
    (name,) = unsupported
    with pytest.raises(OpenAIError, match=f"{name}: not supported") as error:
        parse(**unsupported)
    assert error.value.param == name


def test_rejection_names_the_path_of_the_field() -> None:
    with pytest.raises(OpenAIError) as error:
        parse(messages=[{"role": "user", "content": "a"}, {"role": "user", "content": 7}])
    assert error.value.param == "messages[1].content"
