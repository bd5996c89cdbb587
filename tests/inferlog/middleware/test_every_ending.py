"""Every ending of a request, on every framework, on real sockets: one event with that outcome."""

import re
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from tests.support.logfiles import Logs

Ask = Callable[[Any], "httpx.Response | None"]
"""Behaviour of the client; takes the service, and returns the response if there is one."""


def get(path: str) -> Ask:
    return lambda service: httpx.get(service.url + path, timeout=20)


def post(path: str, body: Any) -> Ask:
    return lambda service: httpx.post(service.url + path, json=body, timeout=20)


def _connect(service: Any) -> socket.socket:
    address = urlsplit(service.url)
    return socket.create_connection((address.hostname or "", address.port or 0))


def cut_short(service: Any) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        get("/broken_stream")(service)


def leave_while_sending(service: Any) -> None:
    with closing(_connect(service)) as connection:
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf of it")
        assert service.reached.wait(20)


def leave_before_the_answer(path: str) -> Ask:
    def ask(service: Any) -> None:
        with closing(_connect(service)) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert service.reached.wait(20)
        service.left.set()

    return ask


def leave_a_stream(service: Any) -> None:
    with closing(_connect(service)) as connection:
        connection.sendall(b"GET /endless_stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        # Closed immediately with unread data: the server's next write fails.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def open_websocket(service: Any) -> None:
    with closing(_connect(service)) as connection:
        connection.sendall(
            b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 101")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """
    One way to end.

    Attributes:
        ask: What the client does.
        status: The event's; None if there must be no event.
        code: ``http.response.status_code``.
        route: ``http.route`` as Starlette writes it; Flask has ``<item>`` for ``{item}``.
        error_type: ``error.type``.
        at_least_seconds: What the request takes.
        ids_come_back: Whether the response went through the middleware.
        elsewhere: Differences by framework.
        cannot_be: Reason why the ending is impossible, by framework.
    """

    ask: Ask
    status: str | None
    code: int | None
    route: str | None
    error_type: str | None = None
    at_least_seconds: float = 0.0
    ids_come_back: bool = True
    elsewhere: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cannot_be: Mapping[str, str] = field(default_factory=dict)


ENDINGS = {
    "answered": Ending(ask=get("/answer/x"), status="success", code=200, route="/answer/{item}"),
    "streamed": Ending(ask=get("/stream"), status="success", code=200, route="/stream", at_least_seconds=0.05),
    "does not validate": Ending(
        ask=post("/validated", {}), status="rejected", code=422, route="/validated", error_type="422"
    ),
    "not found": Ending(ask=get("/no/such/path"), status="rejected", code=404, route=None, error_type="404"),
    "method not allowed": Ending(
        ask=post("/answer/x", {}),
        status="rejected",
        code=405,
        route="/answer/{item}",
        error_type="405",
        elsewhere={"flask": {"route": None}},  # werkzeug's router names a rule only for the right method
    ),
    "handler raises": Ending(
        ask=get("/crash"),
        status="error",
        code=500,
        route="/crash",
        error_type="RuntimeError",
        # Starlette makes the answer in a layer around all middleware that is added to the application.
        ids_come_back=False,
        elsewhere={"flask": {"ids_come_back": True}},
    ),
    "exception handler answers": Ending(
        ask=get("/no_model"),
        status="error",
        code=503,
        route="/no_model",
        error_type="LookupError",
        # Flask has put the exception away before it begins to answer.
        elsewhere={"flask": {"error_type": "503"}},
    ),
    "raises in mid-stream": Ending(
        ask=cut_short, status="error", code=200, route="/broken_stream", error_type="ValueError"
    ),
    "client leaves while it sends": Ending(
        ask=leave_while_sending,
        status="cancelled",
        code=None,
        route="/upload",
        # Flask answers a body that ends early with 400, and finds nobody to take it.
        elsewhere={"flask": {"code": 400}},
    ),
    "client leaves, the handler looks": Ending(
        ask=leave_before_the_answer("/watching"),
        status="cancelled",
        code=200,
        route="/watching",
        cannot_be={"flask": "WSGI has nothing to look at: only a write can fail"},
    ),
    "client leaves, nobody looks": Ending(
        # uvicorn accepts the whole response: the disconnect is not reported.
        ask=leave_before_the_answer("/late"),
        status="success",
        code=200,
        route="/late",
        # werkzeug's server writes head and body apart, and the second write fails. One that writes them together
        # gets no report.
        elsewhere={"flask": {"status": "cancelled"}},
    ),
    "client leaves a stream": Ending(ask=leave_a_stream, status="cancelled", code=200, route="/endless_stream"),
    "handler's deadline": Ending(
        ask=get("/deadline"),
        status="error",
        code=500,
        route="/deadline",
        error_type="TimeoutError",
        at_least_seconds=0.02,
        ids_come_back=False,
        elsewhere={"flask": {"ids_come_back": True}},
    ),
    "task cancelled": Ending(
        ask=get("/cancelled"),
        status="cancelled",
        code=None,
        route="/cancelled",
        ids_come_back=False,
        cannot_be={"flask": "a thread is not cancelled"},
    ),
    "background task fails later": Ending(ask=get("/background"), status="success", code=200, route="/background"),
    "handler in a thread pool": Ending(ask=get("/in_thread"), status="success", code=200, route="/in_thread"),
    "dependency": Ending(
        ask=get("/dependent"),
        status="success",
        code=200,
        route="/dependent",
        cannot_be={"starlette": "it has no dependencies", "flask": "it has no dependencies"},
    ),
    "nested mount": Ending(
        ask=get("/tenant/4711/items/5"), status="success", code=200, route="/tenant/{tenant}/items/{item}"
    ),
    "nested mount, not found": Ending(
        ask=get("/tenant/4711/nothing"), status="rejected", code=404, route=None, error_type="404"
    ),
    "websocket": Ending(
        ask=open_websocket, status=None, code=None, route=None, cannot_be={"flask": "WSGI has no websockets"}
    ),
}
ANSWERED_BY_A_MODEL = {"answered", "streamed", "handler in a thread pool", "dependency", "nested mount"}


@pytest.mark.parametrize(
    ("service", "name"),
    [
        pytest.param(framework, name, id=f"{framework}-{name}")
        for framework in ("fastapi", "starlette", "flask")
        for name, ending in ENDINGS.items()
        if framework not in ending.cannot_be
    ],
    indirect=["service"],
)
def test_request_writes_one_event_with_its_outcome(service: Any, name: str, logs: Logs) -> None:
    ending = replace(ENDINGS[name], **ENDINGS[name].elsewhere.get(service.framework, {}))
    response = ending.ask(service)
    if ending.status is None:
        assert logs.events == []
        return
    event = logs.event
    service.written.set()
    route = ending.route
    if service.framework == "flask" and route is not None:
        route = route.replace("{", "<").replace("}", ">")
    assert {
        "status": event["status"],
        "code": event["http"].get("response", {}).get("status_code"),
        "route": event["http"].get("route"),
        "error_type": event.get("error", {}).get("type"),
    } == {"status": ending.status, "code": ending.code, "route": route, "error_type": ending.error_type}
    assert ending.at_least_seconds <= event["latency_seconds"] < 10
    assert event.get("model_version") == ("v1" if name in ANSWERED_BY_A_MODEL else None)
    assert "hunter22" not in str(event)
    assert re.fullmatch("[0-9a-f]{32}", event["request_id"])
    assert event["correlation_id"] == event["request_id"]  # nobody has sent one
    if response is not None and ending.ids_come_back:
        assert response.headers["X-Request-ID"] == event["request_id"]
        assert response.headers["X-Correlation-ID"] == event["correlation_id"]
