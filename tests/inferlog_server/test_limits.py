"""Limits and disconnects: the request ends, its generation ends with it, and one event records the outcome."""

from typing import Any
from uuid import uuid4

import openai
import psutil
import pytest

from tests.support.chat_server import MODEL, RunningServer, dial
from tests.support.polling import wait_until

QUESTION: list[Any] = [{"role": "user", "content": "Tell me a very long story about the sea."}]
# Requests 1024 tokens: an event with fewer shows that its generation was stopped.
ENDLESS: dict[str, Any] = {"model": f"{MODEL}:v1", "max_tokens": 1024, "messages": QUESTION}
DEADLINE_SECONDS = 2.0  # of the impatient server
PATIENCE_SECONDS = 240.0  # a machine with ten times its usual load meets the deadline once in ten requests


def wait_for_a_slot(server: RunningServer) -> None:
    """Wait until a request is answered; earlier ones may be rejected because the queue is full."""
    wait_until(lambda: server.ask(max_tokens=1).status_code == 200, PATIENCE_SECONDS, what="a slot")


@pytest.fixture
def correlation_id() -> str:
    """Correlation id for the event of a request whose response the test does not read."""
    return f"test-{uuid4().hex}"


@pytest.mark.parametrize("stream", [True, False])
def test_generation_past_its_deadline_is_stopped_with_504(impatient_server: RunningServer, stream: bool) -> None:
    def generate_past_deadline() -> dict[str, Any] | None:
        """Return the event, unless the deadline of this try passed before its first token: the machine is shared."""
        correlation_id = uuid4().hex
        body = ENDLESS | {"stream": stream, "extra_headers": {"x-correlation-id": correlation_id}}
        with impatient_server.build_client() as client, pytest.raises(openai.APIError) as failure:
            list(client.chat.completions.create(**body))
        assert failure.value.code == "deadline_exceeded"
        wait_for_a_slot(impatient_server)
        event = impatient_server.wait_for_event_of_chain(correlation_id)
        return event if event["gen_ai"].get("usage", {}).get("output_tokens") else None

    event = wait_until(generate_past_deadline, PATIENCE_SECONDS, "a generation with a first token before its deadline")
    assert event["status"] == "error"
    assert event["error"]["type"] == "deadline_exceeded"
    assert event["http"]["response"]["status_code"] == (200 if stream else 504)
    assert event["latency_seconds"] >= DEADLINE_SECONDS
    assert 0 < event["gen_ai"]["usage"]["output_tokens"] < 1024
    assert event["model_latency_seconds"] > DEADLINE_SECONDS / 4
    assert "finish_reasons" not in event["gen_ai"].get("response", {})


def test_deadline_stops_a_long_prompt_before_its_first_token(impatient_server: RunningServer) -> None:
    late = impatient_server.ask("the sea is blue and " * 1500, max_tokens=1)

    assert late.status_code == 504
    wait_for_a_slot(impatient_server)
    assert "time_to_first_token_seconds" not in impatient_server.wait_for_event(late.headers["x-request-id"])


def test_full_queue_is_answered_with_429_and_retry_after(single_server: RunningServer) -> None:
    with single_server.connect(**ENDLESS, stream=True) as running:
        running.recv(1000)
        with single_server.connect(**ENDLESS):
            refused = wait_until(
                lambda: [answer for answer in [single_server.ask(max_tokens=1)] if answer.status_code != 200],
                what="a full queue",
            )[0]

    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["code"] == "queue_full"
    event = single_server.wait_for_event(refused.headers["x-request-id"])
    assert event["status"] == "rejected"
    assert event["error"]["type"] == "queue_full"
    assert "queue_seconds" not in event
    wait_for_a_slot(single_server)  # both clients have disconnected


def test_generation_ends_when_the_client_leaves_its_stream(single_server: RunningServer, correlation_id: str) -> None:
    with single_server.connect(correlation_id, **ENDLESS, stream=True) as connection:
        received = b""
        while received.count(b'"content"') < 10:
            piece = connection.recv(1000)
            assert piece, f"the stream ended: {received!r}"
            received += piece

    wait_for_a_slot(single_server)
    event = single_server.wait_for_event_of_chain(correlation_id)
    assert (event["status"], event["event"]["outcome"]) == ("cancelled", "unknown")
    assert event["model_version"] == "v1"
    assert 9 <= event["gen_ai"]["usage"]["output_tokens"] < 200
    assert event["time_to_first_token_seconds"] < event["latency_seconds"]
    assert "error" not in event


def test_generation_ends_when_the_client_leaves_before_its_response(
    single_server: RunningServer, correlation_id: str
) -> None:
    process = psutil.Process(single_server.pid)
    computed_before = process.cpu_times().user
    with single_server.connect(correlation_id, **ENDLESS):
        wait_until(lambda: process.cpu_times().user > computed_before + 1.0, what="the generation to be under way")

    wait_for_a_slot(single_server)
    event = single_server.wait_for_event_of_chain(correlation_id)
    assert event["status"] == "cancelled"
    assert "response" not in event["http"]
    assert 0 < event["gen_ai"]["usage"]["output_tokens"] < 1024


def test_client_that_leaves_while_sending_leaves_one_event(
    simulated_server: RunningServer, correlation_id: str
) -> None:
    with dial(simulated_server.url) as connection:
        connection.sendall(build_unfinished_request(correlation_id))

    assert simulated_server.wait_for_event_of_chain(correlation_id)["status"] == "cancelled"


def test_body_that_does_not_arrive_is_answered_with_408(simulated_server: RunningServer, correlation_id: str) -> None:
    with dial(simulated_server.url) as connection:
        connection.sendall(build_unfinished_request(correlation_id))
        head = connection.recv(1000)

    assert head.startswith(b"HTTP/1.1 408 ")
    assert simulated_server.wait_for_event_of_chain(correlation_id)["error"]["type"] == "request_timeout"


def build_unfinished_request(correlation_id: str) -> bytes:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nx-correlation-id: %b\r\ncontent-length: 100\r\n\r\n{"
    return head % correlation_id.encode()


def test_simulated_failure_is_an_error_with_its_event(simulated_server: RunningServer) -> None:
    for stream in (True, False):
        answer = simulated_server.ask(model=f"{MODEL}:failing", stream=stream)

        assert answer.status_code == 500
        assert answer.json()["error"]["code"] == "model_failed"
        assert simulated_server.wait_for_event(answer.headers["x-request-id"])["status"] == "error"
