"""One request over the wire, once and never again, and what its client sees of the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter
from typing import Final

import urllib3
from urllib3.response import BaseHTTPResponse

from inferlog_traffic.event_stream import EventStream

ROUTE: Final = "/v1/chat/completions"

_READ_BYTES: Final = 65_536
_CONNECT_SECONDS: Final = 5.0


class Outcome(StrEnum):
    """How a request ended, as its client sees it."""

    ANSWERED = "answered"
    REFUSED = "refused"  # 4xx
    FAILED = "failed"  # 5xx, or a stream that says so
    BROKEN = "broken"  # the answer began and did not end
    UNANSWERED = "unanswered"  # no answer began
    LEFT = "left"  # the client had enough, as it was told to
    ABANDONED = "abandoned"  # the run ended first


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    What is to be sent.

    Attributes:
        correlation_id: Found again in the request's event.
        caller: Who sends it; an audit trail has a hash of that.
        body: JSON, or what a careless program takes for it.
        model: What the body asks for; None if that cannot be told.
        streamed: The answer is to come as server-sent events.
        leaves: The client closes the connection at the first token.
    """

    correlation_id: str
    caller: str
    body: bytes
    model: str | None
    streamed: bool = False
    leaves: bool = False


@dataclass(slots=True, kw_only=True)
class Answer:
    """
    What is known of an answer, at any moment of it.

    Attributes:
        outcome: Abandoned, until something else happens.
        status_code: None while no answer has begun.
        first_token_at: When the first part with text came in, on *clock*; only of streams.
        ended_at: When the last byte came in or it was clear that none would.
        body_bytes: How much of the answer's body came.
    """

    outcome: Outcome = Outcome.ABANDONED
    status_code: int | None = None
    first_token_at: float | None = None
    ended_at: float | None = None
    body_bytes: int = 0


def new_pool(*, answer_timeout_seconds: float) -> urllib3.PoolManager:
    """Return connections for any number of requests at once, none of which is ever sent twice."""
    return urllib3.PoolManager(
        # Above this many idle connections are closed; none is ever waited for, for that would hide a queue.
        maxsize=1_000,
        block=False,
        retries=False,
        timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=answer_timeout_seconds),
    )


def exchange(
    pool: urllib3.PoolManager, url: str, request: Request, answer: Answer, clock: Callable[[], float] = perf_counter
) -> None:
    """
    Send *request* to the service at *url* and note in *answer* what comes back.

    *answer* is filled on the way: who is interrupted leaves in it what was known by then.
    """
    headers = {
        "Authorization": f"Bearer {request.caller}",
        "Content-Type": "application/json",
        "X-Correlation-ID": request.correlation_id,
    }
    try:
        response = pool.request("POST", f"{url}{ROUTE}", body=request.body, headers=headers, preload_content=False)
    except urllib3.exceptions.HTTPError:
        outcome = Outcome.UNANSWERED
    else:
        answer.status_code = response.status
        outcome = _read(response, request, answer, clock)
    answer.ended_at = clock()
    answer.outcome = outcome


def _read(response: BaseHTTPResponse, request: Request, answer: Answer, clock: Callable[[], float]) -> Outcome:
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
                    return Outcome.LEFT
    except urllib3.exceptions.HTTPError:
        response.close()
        return Outcome.BROKEN
    response.release_conn()
    return _outcome(response.status, stream)


def _outcome(status: int, stream: EventStream | None) -> Outcome:
    if 400 <= status < 500:
        return Outcome.REFUSED
    if not 200 <= status < 300 or (stream is not None and stream.failed):
        return Outcome.FAILED
    if stream is not None and not stream.complete:
        return Outcome.BROKEN
    return Outcome.ANSWERED
