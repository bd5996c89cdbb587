"""OpenAI's own client with the real model: responses, and one event per request."""

import asyncio
from typing import Any

import openai
import pytest

from tests.support.chat_server import MODEL, RunningServer

QUESTION: list[Any] = [{"role": "user", "content": "Name three colours."}]


def get_tokens(event: dict[str, Any]) -> tuple[int, int]:
    usage = event["gen_ai"]["usage"]
    return usage["input_tokens"], usage["output_tokens"]


def test_completion_leaves_one_event_with_the_tokens_of_its_usage(llama_server: RunningServer) -> None:
    answer = llama_server.build_client().chat.completions.create(model=f"{MODEL}:v1", messages=QUESTION, max_tokens=20)

    assert answer.choices[0].message.content
    assert answer.model == f"{MODEL}:v1"
    event = llama_server.wait_for_event(answer._request_id)
    assert answer.usage
    assert get_tokens(event) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    assert answer.usage.completion_tokens <= 20
    assert event["model_name"] == MODEL
    assert event["model_version"] == "v1"
    assert event["status"] == "success"
    assert event["http"]["route"] == "/v1/chat/completions"
    assert event["gen_ai"]["operation"]["name"] == "chat"
    assert event["gen_ai"]["response"]["finish_reasons"] == [answer.choices[0].finish_reason]
    assert 0 < event["time_to_first_token_seconds"] <= event["latency_seconds"]
    assert event["queue_seconds"] < event["model_latency_seconds"] <= event["latency_seconds"]


@pytest.mark.parametrize("with_usage", [True, False])
def test_stream_leaves_one_event_with_the_tokens_of_its_usage(llama_server: RunningServer, with_usage: bool) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if with_usage else {}
    raw = llama_server.build_client().chat.completions.with_raw_response.create(
        model=f"{MODEL}:v2", messages=QUESTION, max_tokens=20, stream=True, **options
    )
    chunks = list(raw.parse())

    last = chunks[-1]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert text
    assert bool(last.choices) is not with_usage
    assert last.usage
    assert [reason for reason in reasons if reason] == reasons[-1:]
    event = llama_server.wait_for_event(raw.headers["x-request-id"])
    assert get_tokens(event) == (last.usage.prompt_tokens, last.usage.completion_tokens)
    assert event["model_version"] == "v2"
    assert event["status"] == "success"
    assert 0 < event["time_to_first_token_seconds"] < event["latency_seconds"]


def test_stream_and_completion_have_the_same_text(llama_server: RunningServer) -> None:
    ask = llama_server.build_client().chat.completions.create
    whole = ask(model=f"{MODEL}:v1", messages=QUESTION, max_tokens=30)
    stream = ask(model=f"{MODEL}:v1", messages=QUESTION, max_tokens=30, stream=True)

    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == whole.choices[0].message.content


def test_parallel_requests_are_answered_in_batches(llama_server: RunningServer) -> None:
    async def ask_six() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{llama_server.url}/v1", api_key="unused", max_retries=0) as client:
            create = client.chat.completions.create
            return await asyncio.gather(
                *(create(model=MODEL, messages=QUESTION, max_tokens=10 + number) for number in range(6))
            )

    answers = asyncio.run(ask_six())

    events = [llama_server.wait_for_event(answer._request_id) for answer in answers]
    batch_sizes = {event["batch_size"] for event in events}
    assert batch_sizes <= {1, 2, 3, 4}  # at most the number of slots
    assert max(batch_sizes) > 1
    for answer, event in zip(answers, events, strict=True):
        assert get_tokens(event) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)
        assert answer.model == f"{MODEL}:{event['model_version']}"


def test_asynchronous_stream_arrives(llama_server: RunningServer) -> None:
    async def read() -> Any:
        async with openai.AsyncOpenAI(base_url=f"{llama_server.url}/v1", api_key="unused", max_retries=0) as client:
            stream = await client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=5, stream=True)
            return [chunk async for chunk in stream][-1].usage

    assert asyncio.run(read()).completion_tokens <= 5


def test_stop_text_ends_the_response_and_is_not_in_it(llama_server: RunningServer) -> None:
    count: list[Any] = [{"role": "user", "content": "Count: 1, 2, 3, 4, 5, 6"}]
    ask = llama_server.build_client().chat.completions.create
    without = ask(model=f"{MODEL}:v1", messages=count, max_tokens=40).choices[0].message.content
    assert without
    stop = without[len(without) // 2]

    answer = ask(model=f"{MODEL}:v1", messages=count, max_tokens=40, stop=[stop]).choices[0]

    assert answer.finish_reason == "stop"
    assert answer.message.content == without.partition(stop)[0]


def test_text_parts_and_the_developer_role_are_accepted(llama_server: RunningServer) -> None:
    answer = llama_server.build_client().chat.completions.create(
        model=f"{MODEL}:v1",
        messages=[
            {"role": "developer", "content": "You are brief."},
            {"role": "user", "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "hello."}]},
        ],
        max_completion_tokens=4,
    )

    assert answer.usage
    assert answer.usage.completion_tokens <= 4


def test_models_are_listed_without_events(llama_server: RunningServer) -> None:
    client = llama_server.build_client()

    assert [model.id for model in client.models.list()] == [MODEL, f"{MODEL}:v1", f"{MODEL}:v2"]
    assert client.models.retrieve(f"{MODEL}:v2").id == f"{MODEL}:v2"
    for response in (client.models.with_raw_response.list(), client.models.with_raw_response.retrieve(f"{MODEL}:v2")):
        assert "x-request-id" not in response.headers  # the id of a request with an event

    llama_server.wait_for_event(
        client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=1)._request_id
    )
    # Other tests request unknown models, which leave events.
    routes = [event["http"].get("route", "") for event in llama_server.logs.events if event["status"] == "success"]
    assert not [route for route in routes if route.startswith("/v1/models")]


def test_errors_become_exceptions_of_the_client(llama_server: RunningServer) -> None:
    client = llama_server.build_client()

    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model=f"{MODEL}:v9", messages=QUESTION)
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model=MODEL, messages=[])
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "word " * 3000}])
    with pytest.raises(openai.NotFoundError) as unlisted:
        client.models.retrieve("gpt-4")

    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    assert (wrong.value.code, wrong.value.param) == ("invalid_value", "messages")
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "messages")
    assert unlisted.value.code == "model_not_found"
    event = llama_server.wait_for_event(long.value.request_id)
    assert event["status"] == "rejected"
    assert event["error"]["type"] == "context_length_exceeded"
