"""One HTTP request, sent once and never retried, and the client's view of its response."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter
from typing import Any, Final

import urllib3
from urllib3.response import BaseHTTPResponse

ROUTE: Final = "/v1/chat/completions"

_READ_BYTES: Final = 65_536
_CONNECT_SECONDS: Final = 5.0
_DATA: Final = b"data:"
_END: Final = b"[DONE]"


class RequestOutcome(StrEnum):
    """Outcome of a request as its client sees it."""

    ANSWERED = "answered"
    REFUSED = "refused"  # 4xx
    FAILED = "failed"  # 5xx, a redirect, or a stream with an error
    BROKEN = "broken"  # the response began and did not end
    UNANSWERED = "unanswered"  # no response began
    LEFT = "left"  # the client disconnected as planned
    ABANDONED = "abandoned"  # the run ended first


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficRequest:
    """
    One request to send.

    Attributes:
        correlation_id: Correlation id, also in the request's event.
        caller: Class of the caller, sent as its credential; ``client.id`` is its hash.
        body: JSON, valid or malformed.
        model: Requested model; None if the body is malformed.
        streamed: True if the response is a stream of server-sent events.
        leaves: True if the client closes the connection at the first token.
    """

    correlation_id: str
    caller: str
    body: bytes
    model: str | None
    streamed: bool = False
    leaves: bool = False


@dataclass(slots=True, kw_only=True)
class ObservedResponse:
    """
    The client's view of a response, updated as it arrives.

    Attributes:
        outcome: Outcome of the request; abandoned until it ends.
        status_code: Status code; None until the response begins.
        first_token_at: Time of the first part with text, on the clock of `send_request`; streams only.
        ended_at: Time of the last byte, or of the failure.
        body_bytes: Number of bytes of the body so far.
    """

    outcome: RequestOutcome = RequestOutcome.ABANDONED
    status_code: int | None = None
    first_token_at: float | None = None
    ended_at: float | None = None
    body_bytes: int = 0


class EventStream:
    """
    State of a streamed response, as far as a chat client needs it.

    Attributes:
        has_token: True after the first part with text.
        failed: True after an error in the stream.
        complete: True after the end marker of the stream.
    """

    def __init__(self) -> None:
        self.has_token = False
        self.failed = False
        self.complete = False
        self._unfinished = b""

    def feed(self, part: bytes) -> None:
        """Read the next bytes, cut at any position."""
        *lines, self._unfinished = (self._unfinished + part).split(b"\n")
        for line in lines:
            if line.startswith(_DATA):
                self._take(line.removeprefix(_DATA).strip())

    def _take(self, data: bytes) -> None:
        if data == _END:
            self.complete = True
            return
        try:
            chunk = json.loads(data)
        except ValueError:
            return  # clients ignore data that is not valid JSON
        self.failed |= isinstance(chunk, dict) and "error" in chunk
        self.has_token |= _has_text(chunk)


def _has_text(chunk: Any) -> bool:
    match chunk:
        case {"choices": [{"delta": {"content": str(text)}}, *_]}:
            return text != ""
    return False


def open_pool(*, answer_timeout_seconds: float, keep_alive: bool = True) -> urllib3.PoolManager:
    """Return a connection pool without a limit on parallel requests and without retries."""
    return urllib3.PoolManager(
        headers=None if keep_alive else {"Connection": "close"},
        # Idle connections above this number are closed. Requests never wait for one, which would hide a queue.
        maxsize=1_000,
        block=False,
        retries=False,
        timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=answer_timeout_seconds),
    )


def send_request(
    pool: urllib3.PoolManager,
    url: str,
    request: TrafficRequest,
    answer: ObservedResponse,
    clock: Callable[[], float] = perf_counter,
) -> None:
    """
    Send *request* to the service at *url* and update *answer* as the response arrives.

    After an interruption *answer* contains the state up to then.
    """
    headers = {
        **pool.headers,
        "Authorization": f"Bearer {request.caller}",
        "Content-Type": "application/json",
        "X-Correlation-ID": request.correlation_id,
    }
    try:
        response = pool.request("POST", f"{url}{ROUTE}", body=request.body, headers=headers, preload_content=False)
    except urllib3.exceptions.HTTPError:
        outcome = RequestOutcome.UNANSWERED
    else:
        answer.status_code = response.status
        outcome = _read(response, request, answer, clock)
    answer.ended_at = clock()
    answer.outcome = outcome


def _read(
    response: BaseHTTPResponse, request: TrafficRequest, answer: ObservedResponse, clock: Callable[[], float]
) -> RequestOutcome:
    stream = EventStream() if request.streamed and response.status == 200 else None
    try:
        for part in response.stream(_READ_BYTES):
            answer.body_bytes += len(part)
            if stream is None:
                continue
            stream.feed(part)
            if stream.has_token and answer.first_token_at is None:
                answer.first_token_at = clock()
                if request.leaves:
                    response.close()
                    return RequestOutcome.LEFT
    except urllib3.exceptions.HTTPError:
        response.close()
        return RequestOutcome.BROKEN
    response.release_conn()
    return _classify_outcome(response.status, stream)


def _classify_outcome(status: int, stream: EventStream | None) -> RequestOutcome:
    if 400 <= status < 500:
        return RequestOutcome.REFUSED
    if not 200 <= status < 300 or (stream is not None and stream.failed):
        return RequestOutcome.FAILED
    if stream is not None and not stream.complete:
        return RequestOutcome.BROKEN
    return RequestOutcome.ANSWERED
