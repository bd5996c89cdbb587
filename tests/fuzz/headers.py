"""
Request headers, and an id bound by the handler, through both middlewares.

For any input there is one event, in one line without forged fields, and outgoing headers are valid.
"""

import hashlib
import re
import string
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import inferlog
from inferlog.testing import recording
from tests.fuzz.written import parse_line

LONGEST_BYTES = 512
_NAMES = ("x-request-id", "x-correlation-id", "traceparent", "x-client-id", "bound")
_TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SEEDS = (
    b"",
    b"\x00order-17",
    b"\x01order-17\r\n\x00other",
    b"\x01two words\r\n\x02" + _TRACE,
    b"\x02cc" + _TRACE[2:] + b"-more",
    b"\x02" + _TRACE.upper(),
    b"\x02ff" + _TRACE[2:],
    b"\x03acme\r\n\x03other",
    b"\x03Bearer \xff\xfe",
    b'\x00"}\n{"forged":1}\r\n\x01' + b"x" * 65,
    b"\x04order-17\r\n\x01other",
    b"\x04two\nlines",
)
_USABLE = frozenset(string.ascii_letters + string.digits + "._-")
_HEXADECIMAL = frozenset("0123456789abcdef")
_VISIBLE = re.compile(r"[!-~]+", re.ASCII)

resources = ExitStack()
recorded = resources.enter_context(recording())
_bound: list[str] = []
_outgoing: dict[str, str] = {}


def check(data: bytes) -> None:
    """Send one header per line: the first byte selects its name, the rest is its value; the last is a handler's id."""
    given = [(_NAMES[line[0] % len(_NAMES)], line[1:]) for line in data.split(b"\r\n") if line]
    headers = [(name, value) for name, value in given if name != "bound"]
    _bound[:] = [value.decode("latin-1") for name, value in given if name == "bound"]
    by_asgi = _take_event(*_send_through_asgi(headers))
    by_wsgi = _take_event(*_send_through_wsgi(headers))
    received = {name: b",".join(value for other, value in headers if other == name) for name, _ in headers}
    _check(by_wsgi, received)
    if len(received) == len(headers):  # a repeated header is one value in WSGI and two in ASGI
        _check(by_asgi, received)


def _take_event(answered: Iterable[tuple[str, str]], outgoing: dict[str, str]) -> dict[str, Any]:
    """Return the event of a request and check that response and outgoing headers have its ids."""
    (line,) = recorded.sink("events").lines
    refusals = [parse_line(refusal)["message"] for refusal in recorded.sink("app").lines]
    assert refusals == ([] if all(map(_is_usable, _bound)) else ["inferlog.value_refused"])
    recorded.sink("events").lines.clear()
    recorded.sink("app").lines.clear()
    event = parse_line(line)
    ids = {name.lower(): value for name, value in answered}
    assert ids == {"x-request-id": event["request_id"], "x-correlation-id": event["correlation_id"]}
    assert _is_usable(event["request_id"])
    assert _is_usable(event["correlation_id"])
    assert outgoing["X-Correlation-ID"] == event["correlation_id"]
    assert ("traceparent" in outgoing) == ("trace" in event)
    assert all(_VISIBLE.fullmatch(value) and len(value) <= 256 for value in outgoing.values())
    return event


def _check(event: dict[str, Any], received: dict[str, bytes]) -> None:
    """Compare with an independent implementation of the documented rules."""
    texts = {name: value.decode("latin-1") for name, value in received.items()}
    usable = [name for name in ("x-correlation-id", "x-request-id") if _is_usable(texts.get(name, ""))]
    bound = list(filter(_is_usable, _bound))[-1:]
    assert event["correlation_id"] == (*bound, *(texts[name] for name in usable), event["request_id"])[0]
    trace = _parse_trace(texts.get("traceparent", ""))
    assert (event.get("trace"), event.get("span")) == (trace or (None, None))
    refused = [name for name in _NAMES[:2] if name in received and name not in usable]
    refused += ["traceparent"] if "traceparent" in received and not trace else []
    assert event.get("labels") == ({"refused_headers": ",".join(refused)} if refused else None)
    caller = received.get("x-client-id", b"").decode("utf-8", "backslashreplace")
    digest = hashlib.blake2b(caller.encode(), digest_size=16).hexdigest()
    assert event.get("client") == ({"id": digest} if caller else None)


def _is_usable(text: str) -> bool:
    return 1 <= len(text) <= 64 and set(text) <= _USABLE


def _parse_trace(text: str) -> tuple[dict[str, str], dict[str, str]] | None:
    version, *rest = text.split("-")
    if len(version) != 2 or len(rest) < 3 or version == "ff" or (version == "00" and len(rest) > 3):
        return None
    trace_id, span_id, flags = rest[:3]
    if (len(trace_id), len(span_id), len(flags)) != (32, 16, 2) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    if not set(version + trace_id + span_id + flags) <= _HEXADECIMAL or len(text) > 256:
        return None
    return ({"id": trace_id}, {"id": span_id}) if _VISIBLE.fullmatch(text) else None


def _handle() -> None:
    for text in _bound:
        inferlog.bind_inference(correlation_id=text)
    _outgoing.update(inferlog.outgoing_headers())


async def _answer_asgi(scope: Any, receive: Any, send: Any) -> None:
    _handle()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def _answer_wsgi(environ: Any, start_response: Any) -> list[bytes]:
    _handle()
    start_response("200 OK", [])
    return [b"{}"]


_asgi_service = inferlog.InferenceMiddleware(_answer_asgi, client_id="X-Client-Id")
_wsgi_service = inferlog.InferenceWSGIMiddleware(_answer_wsgi, client_id="X-Client-Id")


def _send_through_asgi(headers: list[tuple[str, bytes]]) -> tuple[list[tuple[str, str]], dict[str, str]]:
    answered: list[tuple[str, str]] = []
    _outgoing.clear()

    async def send(message: Any) -> None:
        answered.extend((name.decode(), value.decode()) for name, value in message.get("headers", ()))

    async def receive() -> Any:
        return {"type": "http.request"}

    raw = [(name.encode(), value) for name, value in headers]
    scope = {"type": "http", "method": "POST", "path": "/predict", "root_path": "", "headers": raw}
    request = _asgi_service(scope, receive, send)
    try:
        request.send(None)
    except StopIteration:
        return answered, dict(_outgoing)
    raise AssertionError("the application waits for something")


def _send_through_wsgi(headers: list[tuple[str, bytes]]) -> tuple[list[tuple[str, str]], dict[str, str]]:
    answered: list[tuple[str, str]] = []
    _outgoing.clear()
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/predict"}
    for name, value in headers:
        key, text = f"HTTP_{name.upper().replace('-', '_')}", value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
        answered.extend(headers)

    body = _wsgi_service(environ, start_response)
    assert b"".join(body) == b"{}"
    body.close()  # type: ignore[attr-defined]
    return answered, dict(_outgoing)
