"""Requests as people send them: completions and streams, several at once, a few that fail, one that leaves."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Final

import orjson
import urllib3

_PROMPTS: Final = (
    "Name three colours.",
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "Why is the sky blue? Answer briefly.",
    "Give me a name for a cat.",
    "Translate 'good morning' into Spanish.",
    "What do bees make?",
    "Finish the sentence: The train was late, so",
)
_LONG_STORY: Final = "Write a very long story about a lighthouse keeper. Do not stop before the story has ten chapters."
_CALLERS: Final = ("shop", "support", "night-batch")
_SECONDS_FOR_AN_ANSWER: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One request to be sent.

    Attributes:
        correlation_id: Found again in the request's event.
        caller: Who sends it; the audit trail has a hash of that.
        body: JSON, or what a careless client takes for it.
        streamed: The answer comes as server-sent events.
        leaves: The client closes the connection after the first bytes of the answer.
    """

    correlation_id: str
    caller: str
    body: bytes
    streamed: bool = False
    leaves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    What the client saw of one request.

    Attributes:
        correlation_id: That of the request.
        status_code: None if no answer came.
        latency_seconds: From before the first byte out to after the last byte in.
    """

    correlation_id: str
    status_code: int | None
    latency_seconds: float


def plan(run_id: str, requests: int, model: str) -> list[Request]:
    """
    Return *requests* requests to *model*, mostly good ones.

    Half are streams; the server shares out those that name no version, and every fifth asks for v2. In each twenty:
    an unknown model, a negative ``max_tokens``, a body that is no JSON, an answer too long for the server's
    deadline, and a client that leaves its stream.
    """
    return [_request(run_id, number, model) for number in range(requests)]


def _request(run_id: str, number: int, model: str) -> Request:
    request = partial(Request, correlation_id=f"{run_id}-{number:06d}", caller=_CALLERS[number % len(_CALLERS)])
    match number % 20:
        case 2:
            return request(body=_chat("no-such-model", _PROMPTS[0]))
        case 6:
            return request(body=_chat(model, _PROMPTS[0], max_tokens=-1))
        case 10:
            return request(body=b'{"model": "' + model.encode() + b'", "messages": [')
        case 12:
            return request(body=_chat(f"{model}:v2", _LONG_STORY, max_tokens=1024))
        case 17:
            return request(body=_chat(model, _LONG_STORY, stream=True), streamed=True, leaves=True)
    asked_for = f"{model}:v2" if number % 5 == 0 else model
    streamed = number % 2 == 1
    return request(body=_chat(asked_for, _PROMPTS[number % len(_PROMPTS)], stream=streamed), streamed=streamed)


def _chat(model: str, prompt: str, **more: Any) -> bytes:
    return orjson.dumps({"model": model, "messages": [{"role": "user", "content": prompt}], **more})


def send_all(
    url: str, requests: Sequence[Request], *, at_once: int, on_answer: Callable[[Answer], None]
) -> list[Answer]:
    """Send *requests* to the service at *url*, *at_once* at a time, and return what came back, in their order."""
    with (
        urllib3.PoolManager(maxsize=at_once, block=True, retries=False, timeout=_SECONDS_FOR_AN_ANSWER) as pool,
        ThreadPoolExecutor(at_once) as threads,
    ):

        def send(request: Request) -> Answer:
            answer = _sent(pool, f"{url}/v1/chat/completions", request)
            on_answer(answer)
            return answer

        try:
            return list(threads.map(send, requests))
        except BaseException:
            threads.shutdown(cancel_futures=True)  # what is not begun would only be waited for
            raise


def _sent(pool: urllib3.PoolManager, url: str, request: Request) -> Answer:
    headers = {
        "Authorization": f"Bearer {request.caller}",
        "Content-Type": "application/json",
        "X-Correlation-ID": request.correlation_id,
    }
    began = perf_counter()
    status_code = None
    try:
        response = pool.request("POST", url, body=request.body, headers=headers, preload_content=False)
        status_code = response.status
        parts: Iterator[bytes] = response.stream(1024)
        if request.leaves:
            parts = itertools.islice(parts, 1)
        for _ in parts:
            pass
        if request.leaves:
            response.close()
        else:
            response.release_conn()
    except urllib3.exceptions.HTTPError:
        pass  # the answer says that it did not come, or broke off
    return Answer(
        correlation_id=request.correlation_id, status_code=status_code, latency_seconds=perf_counter() - began
    )
