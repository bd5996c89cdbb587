import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_traffic.event_stream import EventStream


def chunk(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


ROLE = b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
FAILURE = b'data: {"error": {"message": "the model failed"}}\n\n'
END = b"data: [DONE]\n\n"
ANSWER = ROLE + chunk("Once") + chunk(" upon") + END


def fed(*parts: bytes) -> EventStream:
    stream = EventStream()
    for part in parts:
        stream.feed(part)
    return stream


@given(st.lists(st.integers(min_value=0, max_value=len(ANSWER)), max_size=20).map(sorted))
def test_it_does_not_matter_where_the_parts_end(cuts: list[int]) -> None:
    edges = [0, *cuts, len(ANSWER)]
    stream = fed(*(ANSWER[start:end] for start, end in itertools.pairwise(edges)))
    assert (stream.has_token, stream.complete, stream.failed) == (True, True, False)


def test_a_role_alone_is_no_token() -> None:
    assert not fed(ROLE).has_token
    assert fed(ROLE, chunk("O")).has_token


def test_a_failure_in_mid_stream_is_noticed() -> None:
    stream = fed(ROLE, chunk("Once"), FAILURE, END)
    assert (stream.has_token, stream.complete, stream.failed) == (True, True, True)


def test_a_stream_without_its_end_is_not_complete() -> None:
    assert not fed(ROLE, chunk("Once"), END.rstrip()).complete


@pytest.mark.parametrize("line", [b": keep-alive", b"event: ping", b"data: {", b"data: 1", b'data: {"choices": []}'])
def test_what_it_does_not_know_is_passed_over(line: bytes) -> None:
    stream = fed(line + b"\n", END)
    assert (stream.has_token, stream.complete, stream.failed) == (False, True, False)


@given(st.binary())
def test_no_bytes_can_break_it(part: bytes) -> None:
    fed(part, b"\n", END)
