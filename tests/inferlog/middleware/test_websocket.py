"""WebSockets: the handshake binds the ids; the connection writes no event, its calls do."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse

import inferlog
from inferlog.testing import Recorded, recording

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with recording() as recorded:
        yield recorded


@pytest.fixture
def client(recorded: Recorded) -> TestClient:
    app = FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware)
    log = inferlog.get_logger("socket")

    @app.websocket("/chat")
    async def chat(socket: WebSocket) -> None:
        await socket.accept(headers=[(b"x-request-id", b"its own"), (b"x-other", b"stays")])
        inferlog.bind_inference(model_version="v1", output_tokens=3)
        log.info("accepted")
        while (text := await socket.receive_text()) != "end":
            with inferlog.track_performance("answer", model_version="v2") as call:
                call.output_tokens = len(text)
                await socket.send_json(inferlog.outgoing_headers())
        await socket.close()

    @app.websocket("/bound")
    async def bind(socket: WebSocket) -> None:
        inferlog.bind_inference(correlation_id="order-18")
        await socket.accept()
        log.info("accepted")
        await socket.close()

    @app.websocket("/refused")
    async def refused(socket: WebSocket) -> None:
        await socket.send_denial_response(PlainTextResponse("no", status_code=401))

    @app.websocket("/broken")
    async def broken(socket: WebSocket) -> None:
        raise ValueError("boom")

    return TestClient(app)


def find_line(recorded: Recorded) -> dict[str, Any]:
    return next(line for line in recorded.log_lines if line["log"]["logger"] == "socket")


def test_connection_without_call_writes_no_event(client: TestClient, recorded: Recorded) -> None:
    with client.websocket_connect("/chat") as socket:
        socket.send_text("end")
    assert recorded.events == []


def test_line_of_connection_has_its_ids_and_so_has_answer_to_its_handshake(
    client: TestClient, recorded: Recorded
) -> None:
    headers = {"x-correlation-id": "order-17", "traceparent": TRACEPARENT}
    with client.websocket_connect("/chat", headers=headers) as socket:
        answered: dict[bytes, bytes] = dict(socket.extra_headers or ())
        socket.send_text("end")
    line = find_line(recorded)
    assert (line["correlation_id"], line["trace"]["id"]) == ("order-17", TRACEPARENT[3:35])
    assert answered == {
        b"x-other": b"stays",
        b"x-request-id": line["request_id"].encode(),
        b"x-correlation-id": b"order-17",
    }


def test_id_bound_before_the_handshake_s_answer_is_in_it(client: TestClient, recorded: Recorded) -> None:
    with client.websocket_connect("/bound") as socket:
        answered: dict[bytes, bytes] = dict(socket.extra_headers or ())
    assert answered[b"x-correlation-id"] == find_line(recorded)["correlation_id"].encode() == b"order-18"


def test_connection_gets_new_ids_when_caller_sends_none(client: TestClient, recorded: Recorded) -> None:
    with client.websocket_connect("/chat") as socket:
        socket.send_text("end")
    line = find_line(recorded)
    assert line["request_id"] == line["correlation_id"]


def test_each_call_of_connection_is_event_in_its_chain(client: TestClient, recorded: Recorded) -> None:
    with client.websocket_connect("/chat", headers={"x-correlation-id": "order-17"}) as socket:
        for text in ("a", "bc"):
            socket.send_text(text)
            assert socket.receive_json() == {"X-Correlation-ID": "order-17"}
        socket.send_text("end")
    events = recorded.events
    assert [event["correlation_id"] for event in events] == ["order-17"] * 2
    assert [event["gen_ai"]["usage"]["output_tokens"] for event in events] == [1, 2]
    assert [event["model_version"] for event in events] == ["v2"] * 2
    assert len({event["request_id"] for event in events} | {find_line(recorded)["request_id"]}) == 3
    assert not [line for line in recorded.log_lines if line["log"]["logger"] == "inferlog"]


def test_rejected_handshake_has_ids(client: TestClient, recorded: Recorded) -> None:
    from starlette.testclient import WebSocketDenialResponse  # noqa: PLC0415 (only here)

    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/refused"):
        pass
    assert len(refused.value.headers["x-request-id"]) == 32
    assert recorded.events == []


def test_exception_of_connection_passes_unchanged_with_its_ids(client: TestClient, recorded: Recorded) -> None:
    with pytest.raises(ValueError, match="boom") as caught, client.websocket_connect("/broken"):
        pass
    with_ids = caught.value.inferlog_inference  # type: ignore[attr-defined]
    assert len(with_ids.fields["request_id"]) == 32
    assert recorded.events == []


def test_mounted_application_keeps_outer_connection(recorded: Recorded) -> None:
    inner, outer = FastAPI(), FastAPI()
    for app in (inner, outer):
        app.add_middleware(inferlog.InferenceMiddleware)
    outer.mount("/inner", inner)

    @inner.websocket("/ids")
    async def ids(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json(inferlog.outgoing_headers())
        await socket.close()

    with TestClient(outer).websocket_connect("/inner/ids") as socket:
        answered: dict[bytes, bytes] = dict(socket.extra_headers or ())
        assert socket.receive_json()["X-Correlation-ID"] == answered[b"x-request-id"].decode()
