"""Too many, too long, gone: the request ends, the generation with it, and one event says how."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import openai
import psutil
import pytest
from chat_server import MODEL, RunningServer, StartServer
from polling import wait_until

LONG = "Tell me a very long story about the sea."
# Takes some ten seconds on an idle machine and longer on a busy one: what comes much sooner was not waiting for it.
ENDLESS = {"model": f"{MODEL}:v1", "max_tokens": 1024}
SOON_SECONDS = 5.0


def connect(server: RunningServer, **more: Any) -> socket.socket:
    """Send a chat request over a socket that can be closed at will."""
    body = json.dumps(ENDLESS | {"messages": [{"role": "user", "content": LONG}]} | more).encode()
    address = urlsplit(server.url)
    connection = socket.create_connection((address.hostname, address.port), timeout=30)
    connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\n")
    connection.sendall(b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    return connection


def ended(server: RunningServer, status: str) -> list[dict[str, Any]]:
    """The events that ended with *status*."""
    return [event for event in server.logs.events if event["status"] == status]


@pytest.mark.parametrize("stream", [True, False])
def test_a_generation_past_its_deadline_is_stopped_and_answered_with_504(
    start_server: StartServer, stream: bool
) -> None:
    server = start_server(deadline_seconds=3.0, llama_parallel_requests=1)
    client = server.client()

    with pytest.raises(openai.APIError) as failure:
        list(client.chat.completions.create(**ENDLESS, messages=[{"role": "user", "content": LONG}], stream=stream))
    after = server.ask(max_tokens=1)

    assert failure.value.code == "deadline_exceeded"
    (event,) = ended(server, "error")
    assert event["error"]["type"] == "deadline_exceeded"
    assert event["http"]["response"]["status_code"] == (200 if stream else 504)
    assert 3.0 <= event["latency_seconds"] < 3.0 + SOON_SECONDS
    assert 0 < event["gen_ai"]["usage"]["output_tokens"] < 1024
    assert event["model_latency_seconds"] > 0.5
    assert "finish_reasons" not in event["gen_ai"].get("response", {})
    # Its place is free again at once, not when the long answer would have been complete.
    assert server.event_of(after.headers["x-request-id"])["queue_seconds"] < SOON_SECONDS


def test_the_deadline_counts_the_wait_for_a_place(start_server: StartServer) -> None:
    server = start_server(deadline_seconds=2.0, llama_parallel_requests=1)
    with ThreadPoolExecutor() as threads:
        asked = [threads.submit(server.ask, LONG, **ENDLESS) for _ in range(3)]
        answers = [future.result() for future in asked]

    assert [answer.status_code for answer in answers] == [504, 504, 504]
    events = [server.event_of(answer.headers["x-request-id"]) for answer in answers]
    assert all(2.0 <= event["latency_seconds"] < 2.0 + SOON_SECONDS for event in events)
    assert {"queue_seconds" in event for event in events} == {True, False}


def test_a_deadline_stops_a_long_prompt_before_its_first_token(start_server: StartServer) -> None:
    server = start_server(deadline_seconds=2.0, llama_parallel_requests=1)
    late = server.ask("the sea is blue and " * 390, max_tokens=1)

    assert late.status_code == 504
    event = server.event_of(late.headers["x-request-id"])
    assert "time_to_first_token_seconds" not in event
    after = server.ask(max_tokens=1, model=f"{MODEL}:v2")
    assert server.event_of(after.headers["x-request-id"])["queue_seconds"] < SOON_SECONDS


def test_a_full_queue_is_answered_with_429_and_when_to_come_back(start_server: StartServer) -> None:
    server = start_server(llama_parallel_requests=1, queue_limit_requests=1)
    running, waiting = connect(server, stream=True), None
    try:
        running.recv(1000)
        waiting = connect(server)
        refused = wait_until(
            lambda: [answer for answer in [server.ask(max_tokens=1)] if answer.status_code != 200],
            what="a full queue",
        )[0]
    finally:
        running.close()
        if waiting:
            waiting.close()

    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["code"] == "queue_full"
    event = server.event_of(refused.headers["x-request-id"])
    assert event["status"] == "rejected"
    assert event["error"]["type"] == "queue_full"
    assert event["latency_seconds"] < SOON_SECONDS
    assert "queue_seconds" not in event


def test_a_client_that_leaves_its_stream_ends_the_generation(start_server: StartServer) -> None:
    server = start_server(llama_parallel_requests=1)
    connection = connect(server, stream=True)
    received = b""
    while received.count(b'"content"') < 10:
        received += connection.recv(1000)
    connection.close()
    after = server.ask(max_tokens=1)

    (event,) = wait_until(lambda: ended(server, "cancelled"), what="the event of the stream")
    assert event["event"]["outcome"] == "unknown"
    assert event["model_version"] == "v1"
    assert 9 <= event["gen_ai"]["usage"]["output_tokens"] < 200
    assert event["time_to_first_token_seconds"] < event["latency_seconds"]
    assert "error" not in event
    assert server.event_of(after.headers["x-request-id"])["queue_seconds"] < SOON_SECONDS


def test_a_client_that_leaves_before_its_answer_ends_the_generation(start_server: StartServer) -> None:
    server = start_server(llama_parallel_requests=1)
    process = psutil.Process(server.pid)
    computed_before = process.cpu_times().user
    connection = connect(server)
    wait_until(lambda: process.cpu_times().user > computed_before + 2.0, what="the generation to be under way")
    connection.close()
    after = server.ask(max_tokens=1)

    (event,) = wait_until(lambda: ended(server, "cancelled"), what="the event of the long one")
    assert "response" not in event["http"]
    assert 0 < event["gen_ai"]["usage"]["output_tokens"] < 1024
    assert server.event_of(after.headers["x-request-id"])["queue_seconds"] < SOON_SECONDS


def test_a_client_that_leaves_while_it_sends_leaves_one_event(start_server: StartServer) -> None:
    server = start_server(backend="simulated")
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n{")

    (event,) = wait_until(lambda: server.logs.events, what="its event")
    assert event["status"] == "cancelled"


def test_a_body_that_does_not_arrive_is_answered_with_408(start_server: StartServer) -> None:
    server = start_server(backend="simulated", body_timeout_seconds=0.2)
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n{")
        head = connection.recv(1000)

    assert head.startswith(b"HTTP/1.1 408 ")
    (event,) = wait_until(lambda: server.logs.events, what="its event")
    assert event["error"]["type"] == "request_timeout"


def test_a_simulated_failure_is_an_error_with_its_event(start_server: StartServer) -> None:
    server = start_server(backend="simulated", versions=[{"name": "v1", "simulated": {"failure_share": 1}}])
    whole, stream = server.ask(), server.ask(stream=True)

    for answer in (whole, stream):
        assert answer.status_code == 500
        assert answer.json()["error"]["code"] == "model_failed"
        assert server.event_of(answer.headers["x-request-id"])["status"] == "error"
