"""Another service that speaks OpenAI's protocol, asked for every answer."""

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

import httpx2 as httpx

from inferlog_server.inference.admission import Admission
from inferlog_server.inference.errors import UpstreamFailedError, UpstreamTimeoutError
from inferlog_server.inference.generation import Admitted, GenerationRequest, Item
from inferlog_server.inference.server_sent_events import EventTooLongError, event_data
from inferlog_server.inference.upstream_protocol import Transcript, refusal, request_body

_EVENT_STREAM = "text/event-stream"
_MAX_EVENT_BYTES = 1_048_576
_MAX_ERROR_BYTES = 65_536


class UpstreamBackend:
    """
    Asks the service behind *client* and passes its answer on piece by piece.

    Attributes:
        ready: False once it is closed. Whether the other service answers is for its own readiness to say: one
            that is down must not take down all that stand before it.
    """

    def __init__(
        self, client: httpx.AsyncClient, *, url: str, model_name: str, places: int, waiting_limit: int
    ) -> None:
        """
        Take over *client*; no connection is made before the first request.

        Args:
            client: Closed with the backend. Adds what every request carries, such as credentials and ids.
            url: Where chat completions are posted to.
            model_name: What the versions are versions of.
            places: Requests that run at once.
            waiting_limit: Requests that may wait for one of the places.
        """
        self.ready = True
        self._client = client
        self._url = url
        self._model_name = model_name
        self._admission = Admission(places=places, waiting_limit=waiting_limit)

    @property
    def waiting_requests(self) -> int:
        """How many requests wait for a place."""
        return self._admission.waiting_requests

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Item, None]:
        """See `Backend.generate`. Closing the generator closes the connection, by which the other service sees it."""
        queue_seconds = await self._admission.acquire()
        transcript = Transcript(self._model_name)
        started = time.perf_counter()
        try:
            yield Admitted(queue_seconds=queue_seconds)
            with _failures_explained():
                async with self._client.stream(
                    "POST", self._url, json=request_body(request, self._model_name), headers={"accept": _EVENT_STREAM}
                ) as response:
                    await _refuse_failure(response)
                    chunks = response.aiter_bytes()
                    async with aclosing(chunks), aclosing(event_data(chunks, limit_bytes=_MAX_EVENT_BYTES)) as events:
                        async for data in events:
                            piece = transcript.read(data)
                            if piece is not None:
                                handed_over = time.perf_counter()
                                yield piece
                                # What the client takes for reading is none of the model's time.
                                started += time.perf_counter() - handed_over
            yield transcript.finished(model_seconds=time.perf_counter() - started)
        finally:
            self._admission.release()

    async def close(self) -> None:
        """Answer no more, and let go of the connections."""
        self.ready = False
        await self._client.aclose()


async def _refuse_failure(response: httpx.Response) -> None:
    """
    Return if *response* is a stream of events.

    Raises:
        InferenceError: If it is anything else.
    """
    if not response.is_success:
        raise refusal(response.status_code, await _beginning(response), response.headers.get("retry-after"))
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _EVENT_STREAM:
        raise UpstreamFailedError(f"it answered with {media_type!r:.80}; expected {_EVENT_STREAM!r}")


async def _beginning(response: httpx.Response) -> bytes:
    body = b""
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > _MAX_ERROR_BYTES:
                break
    return body[:_MAX_ERROR_BYTES]


@contextmanager
def _failures_explained() -> Iterator[None]:
    """Turn what the HTTP client raises into errors of a generation: addresses and reasons are for the log only."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise UpstreamTimeoutError("it did not answer in time", detail=_text(error)) from error
    except httpx.ConnectError as error:
        raise UpstreamFailedError("it cannot be reached", detail=_text(error)) from error
    except httpx.HTTPError as error:
        raise UpstreamFailedError("the connection to it broke", detail=_text(error)) from error
    except EventTooLongError as error:
        raise UpstreamFailedError(str(error)) from error


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
