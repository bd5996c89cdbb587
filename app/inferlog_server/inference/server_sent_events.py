"""Server-sent events, as far as OpenAI's streams use them: one line of data each."""

from collections.abc import AsyncGenerator, AsyncIterable

_DATA = b"data:"


class EventTooLongError(Exception):
    """A line of a stream is longer than anything that is meant to be there."""


async def event_data(chunks: AsyncIterable[bytes], *, limit_bytes: int) -> AsyncGenerator[bytes, None]:
    """
    Yield the data of each event of a stream that comes in *chunks*, however these cut it; nothing that is empty.

    Lines end with a line feed only, before which a carriage return is passed over: what else Unicode takes for the
    end of a line may stand in the data.

    Raises:
        EventTooLongError: If a line has more than *limit_bytes*.
    """
    unfinished = bytearray()
    async for chunk in chunks:
        unfinished += chunk
        *lines, unfinished = unfinished.split(b"\n")
        if max(map(len, (*lines, unfinished))) > limit_bytes:
            raise EventTooLongError(f"an event of the stream is larger than {limit_bytes} bytes")
        for line in lines:
            if line.startswith(_DATA) and (data := line[len(_DATA) :].strip()):
                yield bytes(data)
