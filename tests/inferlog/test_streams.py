"""First token and end of a stream."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

import inferlog
from inferlog.streams import has_content, is_done
from inferlog.testing import recording


def build_chunk(delta: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], **rest}


WITHOUT_CONTENT: list[Any] = [
    None,
    "",
    b"",
    {},
    [],
    build_chunk({"role": "assistant", "content": ""}),
    build_chunk({"role": "assistant", "content": None}),
    build_chunk({"role": "assistant"}),
    build_chunk({}),
    {"choices": [{"delta": None, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}},
    {"choices": [{"index": 0, "text": ""}]},
    {"role": "assistant", "content": ""},
    {"type": "response.created", "response": {}},
    {"type": "response.output_text.delta", "delta": ""},
    {"type": "response.output_item.added", "item": {"type": "message"}},
    {"type": "message_start", "message": {"role": "assistant", "content": []}},
    {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": ""}},
    {"type": "ping"},
]
WITH_CONTENT: list[Any] = [
    "a",
    " ",
    ":",
    b"a",
    0,
    build_chunk({"content": "a"}),
    build_chunk({"role": "assistant", "content": "a"}),
    build_chunk({"reasoning_content": "hm"}),
    build_chunk({"refusal": "no"}),
    build_chunk({"tool_calls": [{"index": 0, "function": {"name": "search", "arguments": ""}}]}),
    build_chunk({"function_call": {"name": "search"}}),
    {"choices": [{"index": 0, "text": "a"}]},
    {"choices": [{"message": {"role": "assistant", "content": "whole"}}]},
    {"choices": [{"delta": {}}, {"delta": {"content": "a"}}]},
    {"role": "assistant", "content": "a"},
    {"type": "response.output_text.delta", "delta": "a"},
    {"type": "response.function_call_arguments.delta", "delta": "{"},
    {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "search"}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}},
    {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "of another service"},
    {"text": "of another service"},
    object(),
]


def as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(item) for name, item in value.items()}) if value else value
    return [as_object(item) for item in value] if isinstance(value, list) else value


def as_event(value: Any) -> Any:
    return f"event: chunk\ndata: {json.dumps(value)}\n\n" if isinstance(value, dict) and value else value


def as_bytes(value: Any) -> Any:
    return f"data:{json.dumps(value)}\r\n\r\n".encode() if isinstance(value, dict) and value else value


@pytest.mark.parametrize("form", [lambda item: item, as_object, as_event, as_bytes])
def test_first_token_is_first_item_with_content(form: Callable[[Any], Any]) -> None:
    for item in WITHOUT_CONTENT:
        assert not has_content(form(item)), item
    for item in WITH_CONTENT:
        assert has_content(form(item)), item


@pytest.mark.parametrize(
    "item", [": keep-alive\n\n", "data: [DONE]\n\n", "data:\n\n", "event: ping\n\n", "retry: 3\n\n"]
)
def test_server_sent_event_without_data_is_not_token(item: str) -> None:
    assert not has_content(item)


@pytest.mark.parametrize("item", ["data: word\n\n", 'data: {"half": ', 'data: {"choices": []}\n\ndata: a\n\n'])
def test_server_sent_event_with_data_is_token(item: str) -> None:
    assert has_content(item)


def test_chunks_of_openai_client_are_read() -> None:
    whole = {"id": "1", "created": 1, "model": "m", "object": "chat.completion.chunk"}
    assert not has_content(
        ChatCompletionChunk.model_validate(build_chunk({"role": "assistant", "content": ""}, **whole))
    )
    assert has_content(ChatCompletionChunk.model_validate(build_chunk({"content": "a"}, **whole)))
    assert has_content(ChatCompletionChunk.model_validate(build_chunk({"reasoning_content": "hm"}, **whole)))


class Clock:
    """Clock that advances with each item."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_seconds = 0.0
        monkeypatch.setattr("inferlog.call.time.perf_counter", lambda: self.now_seconds)

    def iterate(self, *items: Any) -> Iterator[Any]:
        for item in items:
            self.now_seconds += 1
            yield item


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


ITEMS = ("", build_chunk({"role": "assistant"}), build_chunk({"content": "a"}), build_chunk({"content": "b"}))


def measure_first_token(clock: Clock, **options: Any) -> tuple[float | None, list[dict[str, Any]]]:
    """Return when the first token of :data:`ITEMS` came, and the log lines."""

    @inferlog.track_performance(**options)
    def stream() -> Iterator[Any]:
        yield from clock.iterate(*ITEMS)

    with recording() as recorded:
        assert list(stream()) == list(ITEMS)
    return recorded.event.get("time_to_first_token_seconds"), recorded.log_lines


def test_generator_is_timed_to_its_first_item_with_content(clock: Clock) -> None:
    assert measure_first_token(clock) == (3.0, [])


def test_async_generator_is_timed_to_its_first_item_with_content(clock: Clock) -> None:
    @inferlog.track_performance
    async def stream() -> AsyncIterator[Any]:
        for item in clock.iterate(*ITEMS):
            yield item

    async def read() -> None:
        async for _ in stream():
            pass

    with recording() as recorded:
        asyncio.run(read())
    assert recorded.event["time_to_first_token_seconds"] == 3.0


def test_stream_without_content_has_no_first_token(clock: Clock) -> None:
    @inferlog.track_performance
    def stream() -> Iterator[Any]:
        yield from clock.iterate(*WITHOUT_CONTENT)

    with recording() as recorded:
        list(stream())
    assert "time_to_first_token_seconds" not in recorded.event


@pytest.mark.parametrize(("rule", "seconds"), [(lambda _: True, 1.0), (lambda item: item == ITEMS[3], 4.0)])
def test_first_token_is_found_by_user_rule(clock: Clock, rule: Callable[[Any], bool], seconds: float) -> None:
    assert measure_first_token(clock, first_token=rule) == (seconds, [])


def test_rule_is_called_until_first_token_only(clock: Clock) -> None:
    asked: list[Any] = []

    def rule(item: Any) -> bool:
        asked.append(item)
        return bool(item)

    assert measure_first_token(clock, first_token=rule)[0] == 2.0
    assert asked == list(ITEMS[:2])


@pytest.mark.parametrize("error", [KeyError("choices"), GeneratorExit(), asyncio.CancelledError(), SystemExit(1)])
def test_raising_rule_is_logged_once_and_replaced_by_default(clock: Clock, error: BaseException) -> None:
    def rule(_: Any) -> bool:
        raise error

    seconds, (line,) = measure_first_token(clock, first_token=rule)
    assert seconds == 3.0
    assert line["message"] == "inferlog.value_refused"
    assert line["labels"]["reasons"].startswith("first_token: ")
    assert type(error).__name__ in line["labels"]["reasons"]


def test_item_with_raising_attributes_is_token(clock: Clock) -> None:
    class Item:
        @property
        def choices(self) -> None:
            raise RuntimeError

    @inferlog.track_performance
    def stream() -> Iterator[Any]:
        yield from clock.iterate(Item())

    with recording() as recorded:
        list(stream())
    assert recorded.event["time_to_first_token_seconds"] == 1.0


async def answer_later(_: Any) -> bool:
    return True


@pytest.mark.parametrize("rule", ["delta", answer_later])
def test_async_rule_is_rejected(rule: Any) -> None:
    with pytest.raises(TypeError, match="first_token is .*; expected"):
        inferlog.track_performance(first_token=rule)


def test_rule_of_block_is_rejected() -> None:
    with (
        recording(),
        pytest.raises(TypeError, match="first_token applies to streams"),
        inferlog.track_performance(first_token=bool),
    ):
        pass


@pytest.mark.parametrize("item", ["data: [DONE]\n\n", b"data: [DONE]\r\n\r\n", "data: a\n\ndata: [DONE]"])
def test_done_ends_stream(item: Any) -> None:
    assert is_done(item)


@pytest.mark.parametrize("item", [None, "[DONE]", "data: a [DONE]", build_chunk({"content": "data: [DONE]"})])
def test_other_items_do_not_end_stream(item: Any) -> None:
    assert not is_done(item)


def close_after(*items: Any, **stated: Any) -> str:
    """Return the status of a stream closed by its consumer after the last of *items*."""

    @inferlog.track_performance
    def stream() -> Generator[Any, None, None]:
        inferlog.bind_inference(**stated)
        yield from items
        yield "the rest"

    with recording() as recorded:
        read = stream()
        for _ in items:
            next(read)
        read.close()
    return str(recorded.event["status"])


def test_stream_closed_after_done_is_success() -> None:
    assert close_after("data: a\n\n", "data: [DONE]\n\n") == "success"


def test_stream_closed_before_done_is_cancelled() -> None:
    assert close_after("data: a\n\n") == "cancelled"


def test_closed_stream_keeps_bound_status() -> None:
    assert close_after("data: a\n\n", status="rejected") == "rejected"


def test_stream_reporting_error_before_done_is_error() -> None:
    assert close_after("data: [DONE]\n\n", error_message="the model failed") == "error"


def test_async_stream_closed_after_done_is_success() -> None:
    @inferlog.track_performance
    async def stream() -> AsyncIterator[str]:
        yield "data: [DONE]\n\n"
        yield "the rest"

    async def read() -> None:
        items = stream()
        await anext(items)
        await items.aclose()  # type: ignore[attr-defined]

    with recording() as recorded:
        asyncio.run(read())
    assert recorded.event["status"] == "success"


def test_cancelled_call_without_stream_ignores_bound_status() -> None:
    @inferlog.track_performance(status="success")
    async def ask() -> None:
        raise asyncio.CancelledError

    with recording() as recorded, pytest.raises(asyncio.CancelledError):
        asyncio.run(ask())
    assert recorded.event["status"] == "cancelled"
