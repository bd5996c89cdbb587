import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_server.inference.errors import UpstreamFailedError, UpstreamRefusedError, UpstreamTimeoutError
from inferlog_server.inference.generation import GenerationEnd, GenerationRequest, Message, Piece, Usage
from inferlog_server.inference.upstream_protocol import (
    EventTooLongError,
    UpstreamTranscript,
    build_request_body,
    read_event_data,
    to_inference_error,
)
from inferlog_server.inference.versions import Version


def build_request(version: Version | None = None, **more: Any) -> GenerationRequest:
    values: dict[str, Any] = {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9} | more
    return GenerationRequest(
        version=version or Version(name="v1"), messages=(Message(role="user", text="Hi"),), **values
    )


def build_chunk(content: str | None = None, finish_reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice], **more}).encode()


def read(*events: bytes) -> tuple[str, GenerationEnd]:
    transcript = UpstreamTranscript("m")
    pieces = [transcript.read(event) for event in events]
    return "".join(piece.text for piece in pieces if piece), transcript.finish(model_seconds=1.5)


def test_request_body_names_the_upstream_model_or_the_full_name() -> None:
    assert build_request_body(build_request(), "m")["model"] == "m:v1"
    assert build_request_body(build_request(Version(name="v1", upstream_model="gpt-4o")), "m")["model"] == "gpt-4o"


def test_request_body_omits_unset_fields_except_max_tokens() -> None:
    body = build_request_body(
        build_request(seed=7, stop=("a",), client_fields=frozenset({"temperature", "messages"})), "m"
    )

    assert body == {
        "model": "m:v1",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True},
        "stop": ["a"],
        "temperature": 0.5,
    }


def test_transcript_collects_text_reason_and_counts() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    text, finished = read(
        b'{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}',
        build_chunk("Hel"),
        build_chunk("lo", "stop"),
        json.dumps({"choices": [], "usage": usage}).encode(),
        b"[DONE]",
    )

    assert text == "Hello"
    assert finished == GenerationEnd(
        reason="stop", usage=Usage(input_tokens=10, output_tokens=2, cached_tokens=4), model_seconds=1.5
    )


def test_transcript_has_no_counts_when_none_are_reported() -> None:
    assert UpstreamTranscript("m").read(build_chunk("a")) == Piece(text="a", usage=None)
    assert read(build_chunk("a", "stop", usage=None))[1].usage is None


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
def test_transcript_reads_the_version_when_the_model_name_matches(model: str | None, version_name: str | None) -> None:
    assert read(build_chunk("a", model=model), build_chunk(None, "stop"))[1].version_name == version_name


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
def test_transcript_raises_when_an_event_is_not_valid(data: bytes) -> None:
    with pytest.raises(UpstreamFailedError):
        UpstreamTranscript("m").read(data)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_transcript_raises_nothing_else_for_any_data(data: bytes | str) -> None:
    with contextlib.suppress(UpstreamFailedError):
        UpstreamTranscript("m").read(data if isinstance(data, bytes) else data.encode())


def test_transcript_raises_when_the_response_is_incomplete() -> None:
    with pytest.raises(UpstreamFailedError, match="its response is incomplete"):
        read(build_chunk("a"), b"[DONE]")


@pytest.mark.parametrize("status", [400, 404, 413, 422, 429])
def test_rejection_keeps_its_message(status: int) -> None:
    body = {"message": "Too much", "type": "rate_limit_error", "param": "messages[0].content", "code": "too_much"}
    error = to_inference_error(status, json.dumps({"error": body}).encode(), "7")

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
def test_rejection_in_another_format_is_still_a_rejection(body: bytes) -> None:
    error = to_inference_error(400, body, "Wed, 21 Oct 2026 07:28:00 GMT")

    assert isinstance(error, UpstreamRefusedError)
    assert (error.message, error.kind) == ("The upstream service rejected the request", "invalid_request_error")
    assert (error.param, error.code, error.retry_after_seconds) == (None, None, None)


def test_long_rejection_is_cut() -> None:
    error = to_inference_error(400, json.dumps({"error": {"message": "a" * 50_000}}).encode(), None)

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
def test_gateway_and_server_errors_are_upstream_failures(status: int, kind: type[Exception]) -> None:
    body = b'{"error": {"message": "Incorrect API key provided: sk-secret"}}'
    error = to_inference_error(status, body, None)

    assert type(error) is kind
    assert isinstance(error, UpstreamFailedError | UpstreamTimeoutError)
    assert "sk-secret" not in f"{error} {error.detail}"


LIMIT_BYTES = 1_000


def read_data(*chunks: bytes) -> list[bytes]:
    async def collect() -> list[bytes]:
        async def stream(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
            for part in parts:
                yield part

        return [data async for data in read_event_data(stream(chunks), limit_bytes=LIMIT_BYTES)]

    return asyncio.run(collect())


@given(st.lists(st.text(min_size=1, max_size=20).map(str.strip).filter(bool)), st.lists(st.integers(0, 400)))
def test_event_data_does_not_depend_on_the_cuts_of_the_stream(texts: list[str], cuts: list[int]) -> None:
    wanted = [text.replace("\n", " ").replace("\r", " ").encode("utf-8", "replace") for text in texts]
    stream = b"".join(b"data: " + data + b"\n\n" for data in wanted)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    chunks = [stream[start:end] for start, end in itertools.pairwise(edges)]

    assert read_data(*chunks) == [data.strip() for data in wanted if data.strip()]


def test_event_data_skips_comments_other_fields_and_empty_data() -> None:
    assert read_data(b": still working\nevent: x\nid: 1\ndata:\ndata: {}\r\n\r\nretry: 3\ndata:[DONE]\n\n") == [
        b"{}",
        b"[DONE]",
    ]


def test_event_data_keeps_other_line_ends_of_unicode() -> None:
    data = '{"content": "a\u2028b\u0085c\x0bd"}'.encode()

    assert read_data(b"data: " + data + b"\n\n") == [data]


def test_event_data_raises_when_an_event_is_too_long() -> None:
    with pytest.raises(EventTooLongError, match="larger than 1000 bytes"):
        read_data(*[b"data: " + b"a" * 200] * 10)


def test_event_data_accepts_many_events_in_one_chunk() -> None:
    assert len(read_data(b"data: {}\n\n" * 1_000)) == 1_000
