import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_server.inference.errors import UpstreamFailedError, UpstreamRefusedError, UpstreamTimeoutError
from inferlog_server.inference.generation import Finished, GenerationRequest, Message, Piece, Usage
from inferlog_server.inference.upstream_protocol import Transcript, refusal, request_body
from inferlog_server.inference.versions import Version


def request(version: Version | None = None, **more: Any) -> GenerationRequest:
    values: dict[str, Any] = {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9} | more
    return GenerationRequest(
        version=version or Version(name="v1"), messages=(Message(role="user", text="Hi"),), **values
    )


def chunk(content: str | None = None, finish_reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice], **more}).encode()


def read(*events: bytes) -> tuple[str, Finished]:
    transcript = Transcript("m")
    pieces = [transcript.read(event) for event in events]
    return "".join(piece.text for piece in pieces if piece), transcript.finished(model_seconds=1.5)


def test_the_version_is_asked_for_by_its_full_name_unless_it_has_another_elsewhere() -> None:
    assert request_body(request(), "m")["model"] == "m:v1"
    assert request_body(request(Version(name="v1", upstream_model="gpt-4o")), "m")["model"] == "gpt-4o"


def test_what_the_client_left_open_is_left_open_but_for_the_length() -> None:
    body = request_body(request(seed=7, stop=("a",), given=frozenset({"temperature", "messages"})), "m")

    assert body == {
        "model": "m:v1",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True},
        "stop": ["a"],
        "temperature": 0.5,
    }


def test_an_answer_is_its_texts_its_reason_and_its_counts() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    text, finished = read(
        b'{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}',
        chunk("Hel"),
        chunk("lo", "stop"),
        json.dumps({"choices": [], "usage": usage}).encode(),
        b"[DONE]",
    )

    assert text == "Hello"
    assert finished == Finished(
        reason="stop", usage=Usage(input_tokens=10, output_tokens=2, cached_tokens=4), model_seconds=1.5
    )


def test_counts_that_nobody_told_are_unknown() -> None:
    assert Transcript("m").read(chunk("a")) == Piece(text="a", usage=None)
    assert read(chunk("a", "stop", usage=None))[1].usage is None


@pytest.mark.parametrize(
    ("model", "version_name"),
    [
        ("m:v2", "v2"),
        ("m:2026.10-rc_1", "2026.10-rc_1"),
        ("m", None),
        ("other:v2", None),
        ("ft:m:org::id", None),
        ("m:", None),
        ("m:a b", None),
        ("m:v2\n", None),
        ("m:" + "v" * 65, None),
        (None, None),
    ],
)
def test_the_version_that_answered_is_known_where_the_model_is_ours(
    model: str | None, version_name: str | None
) -> None:
    assert read(chunk("a", model=model), chunk(None, "stop"))[1].version_name == version_name


@pytest.mark.parametrize(
    "data",
    [
        b"not JSON",
        b"[]",
        b'{"error": {"message": "out of memory"}}',
        b'{"error": "out of memory"}',
        b'{"choices": 7}',
        b'{"choices": [{"delta": {"content": 7}}]}',
        b'{"choices": [{"finish_reason": "a reason with spaces"}]}',
        b'{"choices": [], "usage": {"prompt_tokens": -1}}',
        b"\xff",
    ],
)
def test_what_is_no_part_of_an_answer_fails(data: bytes) -> None:
    with pytest.raises(UpstreamFailedError):
        Transcript("m").read(data)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_no_data_raises_anything_else(data: bytes | str) -> None:
    with contextlib.suppress(UpstreamFailedError):
        Transcript("m").read(data if isinstance(data, bytes) else data.encode())


def test_an_answer_without_its_end_fails() -> None:
    with pytest.raises(UpstreamFailedError, match="broke its answer off"):
        read(chunk("a"), b"[DONE]")


@pytest.mark.parametrize("status", [400, 404, 413, 422, 429])
def test_a_refusal_keeps_its_words(status: int) -> None:
    said = {"message": "Too much", "type": "rate_limit_error", "param": "messages[0].content", "code": "too_much"}
    error = refusal(status, json.dumps({"error": said}).encode(), "7")

    assert isinstance(error, UpstreamRefusedError)
    assert (error.status, error.message, error.kind) == (status, "Too much", "rate_limit_error")
    assert (error.param, error.code, error.retry_after_seconds) == ("messages[0].content", "too_much", 7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"detail": "no"}',
        b'{"error": "no"}',
        b'{"error": {"message": null, "type": null, "param": null, "code": 400}}',
        b'{"error": {"type": "a type", "param": {"a": 1}, "code": "a\\nb"}}',
    ],
)
def test_a_refusal_in_another_form_is_still_one(body: bytes) -> None:
    error = refusal(400, body, "Wed, 21 Oct 2026 07:28:00 GMT")

    assert isinstance(error, UpstreamRefusedError)
    assert (error.message, error.kind) == ("The request was refused", "invalid_request_error")
    assert (error.param, error.code, error.retry_after_seconds) == (None, None, None)


def test_a_long_refusal_is_cut() -> None:
    error = refusal(400, json.dumps({"error": {"message": "a" * 50_000}}).encode(), None)

    assert isinstance(error, UpstreamRefusedError)
    assert len(error.message) == 1_000


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, UpstreamFailedError),
        (401, UpstreamFailedError),
        (403, UpstreamFailedError),
        (500, UpstreamFailedError),
        (503, UpstreamFailedError),
        (408, UpstreamTimeoutError),
        (504, UpstreamTimeoutError),
    ],
)
def test_what_is_no_fault_of_the_client_is_a_failure(status: int, kind: type[Exception]) -> None:
    said = b'{"error": {"message": "Incorrect API key provided: sk-secret"}}'
    error = refusal(status, said, None)

    assert type(error) is kind
    assert "sk-secret" not in f"{error} {error.detail}"
