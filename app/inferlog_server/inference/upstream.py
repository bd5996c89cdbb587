"""The upstream backend: forwards requests to a server that speaks OpenAI's protocol."""

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

import httpx2 as httpx

from inferlog_server.inference.errors import UpstreamFailedError, UpstreamTimeoutError
from inferlog_server.inference.generation import GenerationRequest, GenerationStart, Item
from inferlog_server.inference.limits import Admission
from inferlog_server.inference.upstream_protocol import (
    EventTooLongError,
    UpstreamTranscript,
    build_request_body,
    read_event_data,
    to_inference_error,
)

_EVENT_STREAM = "text/event-stream"
_MAX_EVENT_BYTES = 1_048_576
_MAX_ERROR_BYTES = 65_536


class UpstreamBackend:
    """
    Backend that forwards requests to an upstream server and yields its response piece by piece.

    Attributes:
        ready: True until the backend is closed. It does not depend on the upstream server: an upstream server that is
            down must not make all of its gateways unready.
    """

    def __init__(self, client: httpx.AsyncClient, *, url: str, model_name: str, slots: int, waiting_limit: int) -> None:
        """
        Create the backend without connecting to the upstream server.

        Args:
            client: HTTP client that adds credentials and ids to each request. Closed with the backend.
            url: URL of chat completions.
            model_name: Model name in this service.
            slots: Number of parallel requests.
            waiting_limit: Maximum number of requests in the queue.
        """
        self.ready = True
        self._client = client
        self._url = url
        self._model_name = model_name
        self._admission = Admission(slots=slots, waiting_limit=waiting_limit)

    @property
    def waiting_requests(self) -> int:
        """Number of requests in the queue."""
        return self._admission.waiting_requests

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Item, None]:
        """See `Backend.generate`. Closing the generator closes the connection, which stops the upstream server."""
        queue_seconds = await self._admission.acquire()
        transcript = UpstreamTranscript(self._model_name)
        started = time.perf_counter()
        try:
            yield GenerationStart(queue_seconds=queue_seconds)
            with _translate_errors():
                async with self._client.stream(
                    "POST",
                    self._url,
                    json=build_request_body(request, self._model_name),
                    headers={"accept": _EVENT_STREAM},
                ) as response:
                    await _check_response(response)
                    chunks = response.aiter_bytes()
                    async with (
                        aclosing(chunks),
                        aclosing(read_event_data(chunks, limit_bytes=_MAX_EVENT_BYTES)) as events,
                    ):
                        async for data in events:
                            piece = transcript.read(data)
                            if piece is not None:
                                handed_over = time.perf_counter()
                                yield piece
                                # The time that the client takes to read does not count as the model's.
                                started += time.perf_counter() - handed_over
            yield transcript.finish(model_seconds=time.perf_counter() - started)
        finally:
            self._admission.release()

    async def close(self) -> None:
        """Stop accepting requests and close the connections."""
        self.ready = False
        await self._client.aclose()


async def _check_response(response: httpx.Response) -> None:
    """
    Check that *response* is a stream of events.

    Raises:
        InferenceError: If the upstream server sent anything else.
    """
    if not response.is_success:
        raise to_inference_error(
            response.status_code, await _read_error_body(response), response.headers.get("retry-after")
        )
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _EVENT_STREAM:
        raise UpstreamFailedError(f"it answered with {media_type!r:.80}; expected {_EVENT_STREAM!r}")


async def _read_error_body(response: httpx.Response) -> bytes:
    body = b""
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > _MAX_ERROR_BYTES:
                break
    return body[:_MAX_ERROR_BYTES]


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Translate errors of the HTTP client to inference errors. Addresses and causes go to the event only."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise UpstreamTimeoutError("it did not answer in time", detail=_format_error(error)) from error
    except httpx.ConnectError as error:
        raise UpstreamFailedError("no connection to it", detail=_format_error(error)) from error
    except httpx.HTTPError as error:
        raise UpstreamFailedError("the connection to it broke", detail=_format_error(error)) from error
    except EventTooLongError as error:
        raise UpstreamFailedError(str(error)) from error


def _format_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
