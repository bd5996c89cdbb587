import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_server.inference.server_sent_events import EventTooLongError, event_data

LIMIT_BYTES = 1_000


def data_of(*chunks: bytes) -> list[bytes]:
    async def collected() -> list[bytes]:
        async def stream(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
            for part in parts:
                yield part

        return [data async for data in event_data(stream(chunks), limit_bytes=LIMIT_BYTES)]

    return asyncio.run(collected())


@given(st.lists(st.text(min_size=1, max_size=20).map(str.strip).filter(bool)), st.lists(st.integers(0, 400)))
def test_data_is_the_same_however_the_stream_is_cut(texts: list[str], cuts: list[int]) -> None:
    wanted = [text.replace("\n", " ").replace("\r", " ").encode("utf-8", "replace") for text in texts]
    stream = b"".join(b"data: " + data + b"\n\n" for data in wanted)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    chunks = [stream[start:end] for start, end in itertools.pairwise(edges)]

    assert data_of(*chunks) == [data.strip() for data in wanted if data.strip()]


def test_comments_other_fields_and_empty_data_are_passed_over() -> None:
    assert data_of(b": still working\nevent: x\nid: 1\ndata:\ndata: {}\r\n\r\nretry: 3\ndata:[DONE]\n\n") == [
        b"{}",
        b"[DONE]",
    ]


def test_what_only_unicode_takes_for_the_end_of_a_line_stays_in_the_data() -> None:
    data = '{"content": "a\u2028b\u0085c\x0bd"}'.encode()

    assert data_of(b"data: " + data + b"\n\n") == [data]


def test_an_event_that_does_not_end_is_refused() -> None:
    with pytest.raises(EventTooLongError, match="larger than 1000 bytes"):
        data_of(*[b"data: " + b"a" * 200] * 10)


def test_many_events_in_one_chunk_are_not_one_that_is_too_long() -> None:
    assert len(data_of(b"data: {}\n\n" * 1_000)) == 1_000
