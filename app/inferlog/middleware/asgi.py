"""Middleware for FastAPI, Starlette and any other ASGI application. Raw ASGI, so that streams are not buffered."""

import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any, Final

from inferlog.client_id import ClientId, check_client_id, decode_header
from inferlog.configuration import get_runtime, get_settings
from inferlog.context import Inference, attach, current_inference, log_failure
from inferlog.middleware.starlette_route import RouteTemplates
from inferlog.request import (
    NOT_AN_INFERENCE,
    Exchange,
    ModelVersion,
    ValueSources,
    begin_request,
    check_model_version,
)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
FindTemplate = Callable[[Scope, int], str | None]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# Python 3.11 calls a method of a module's own name in a third of the time of an imported name's.
_current: Final = current_inference
_TYPES: Final = frozenset({"http", "websocket"})
_OWNED: Final = "inferlog.inference"
_ID_HEADERS: Final = {name.encode(): name for name in ("x-request-id", "x-correlation-id", "traceparent")}
_OUR_HEADERS: Final = frozenset({b"x-request-id", b"x-correlation-id"})
_HANDSHAKE_ANSWERS: Final = frozenset({"websocket.accept", "websocket.http.response.start"})
_BODY: Final = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})


class InferenceMiddleware:
    """
    Writes exactly one event for each HTTP request, however it ends, and adds its ids to the response.

    The event is written after the last byte of the response has been passed to the server: a background task that runs
    later is not part of the request. The application's exceptions pass through unchanged. ``X-Request-ID`` and
    ``X-Correlation-ID`` of the response are those of the event and replace values set by the application: a response
    always leads to its event.

    Its position determines its view. ``app.add_middleware(InferenceMiddleware)`` is inside the handler of unhandled
    exceptions: they are in the event, and their response has no ids. ``InferenceMiddleware(app)``, passed to the
    server, wraps everything. Inside ``BaseHTTPMiddleware``, that is added before it, a broken stream is detected;
    outside, it appears complete.

    The route template is found for FastAPI and Starlette; with another framework the handler can bind it:
    ``bind_inference(http_route="/predict/{model}")``.

    A WebSocket connection has no event. Its handler's log lines and calls to other services have the ids of its
    handshake, and so has the handshake response; each ``track_performance`` in it writes its own event, with the
    connection's correlation id.

    ASGI reports a caller's disconnect by a received disconnect message or a failed send. If the handler triggers
    neither before it responds, the disconnect cannot be detected. A timeout outside the middleware cancels it, like a
    caller's disconnect; one inside it is an error.

    Args:
        app: The ASGI application.
        exclude: Paths, relative to the application, without an event. Default: health, metrics, documentation.
        model_version: Version of the model, unless the handler binds one: a constant, or a callback that takes the
            request's scope and the response's headers (names in lower case, empty if no response started), such as
            ``lambda scope, headers: headers.get("x-model")``. Called once, at the end.
        client_id: Id of the caller, unless the handler binds one: a header name, or a callback that takes the
            request's scope, such as ``lambda scope: scope["user"].display_name``. Called once, at the end. Default:
            the setting ``client_id_header``. Written as a hash, unless the setting ``client_id_plain`` is on.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        exclude: Collection[str] = NOT_AN_INFERENCE,
        model_version: ModelVersion | None = None,
        client_id: ClientId | None = None,
    ) -> None:
        self.app = app
        self._exclude = frozenset(exclude)
        self._sources = ValueSources(check_model_version(model_version), check_client_id(client_id, get_settings()))
        self._find_template = RouteTemplates().find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection (ASGI entry point)."""
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, _pause_heartbeat_at_shutdown(send))
            return
        if kind not in _TYPES or _OWNED in scope or _get_path(scope) in self._exclude:
            await self.app(scope, receive, send)
            return
        if kind == "websocket":
            await self._connect(scope, receive, send)
            return
        exchange = _AsgiExchange(scope, receive, send, self._sources, self._find_template)
        scope[_OWNED] = exchange.inference  # a middleware of a mounted application writes no second event
        token = _current.set(exchange.inference)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.finish(error)
            raise
        else:
            if not exchange.inference.ended:  # by the last byte
                exchange.finish(complete=False)
        finally:
            _current.reset(token)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run a WebSocket handler under the ids of its handshake, which is not an inference."""
        connection = _begin_connection(scope)

        async def send_with_ids(message: Message) -> None:
            if message["type"] in _HANDSHAKE_ANSWERS:
                headers = [header for header in message.get("headers", ()) if header[0].lower() not in _OUR_HEADERS]
                fields = connection.fields
                ids = _build_id_headers(fields["request_id"], fields["correlation_id"])
                message = {**message, "headers": [*headers, *ids]}
            await send(message)

        scope[_OWNED] = connection
        token = _current.set(connection)
        try:
            await self.app(scope, receive, send_with_ids)
        except BaseException as error:
            attach(error, connection)
            raise
        finally:
            _current.reset(token)


def _pause_heartbeat_at_shutdown(send: Send) -> Send:
    """
    Wrap *send* to write the last heartbeat when the lifespan ends.

    uvicorn then ends the process by the received signal, which does not run ``atexit``.
    """

    async def send_and_pause(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown."):
            try:
                get_runtime().heartbeat.pause()
            except Exception as failure:  # noqa: BLE001 (a failure to log must not prevent the shutdown)
                log_failure("the end of the heartbeat", failure)
        await send(message)

    return send_and_pause


def _begin_connection(scope: Scope) -> Inference:
    """Return the inference of a WebSocket connection, marked as ended: each call in it writes its own event."""
    connection = begin_request("GET", get_runtime().make_id(), _read_received_ids(scope), None)
    connection.ended = True
    return connection


def _read_received_ids(scope: Scope) -> dict[str, str]:
    received = {}
    for name, value in scope["headers"]:
        if name in _ID_HEADERS:
            received[_ID_HEADERS[name]] = value.decode("latin-1")
    return received


def _build_id_headers(request_id: str, correlation_id: str) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    return (b"x-request-id", request_id.encode()), (b"x-correlation-id", correlation_id.encode())


def _get_path(scope: Scope) -> str:
    root_path = scope.get("root_path")
    path: str = scope["path"]
    return path.removeprefix(root_path) if root_path else path


class _AsgiExchange(Exchange):
    """Exchange over a scope, ``receive`` and ``send``."""

    __slots__ = ("_answered", "_find_template", "_headers", "_mounted_at", "_receive", "_scope", "_send")

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, sources: ValueSources, find_template: FindTemplate
    ) -> None:
        Exchange.__init__(self, scope["method"], _read_received_ids(scope), sources)  # cheaper than super()
        self._activity.serve_on_this_loop()
        self._scope, self._receive, self._send = scope, receive, send
        self._find_template = find_template
        self._mounted_at = len(scope["root_path"]) if "app_root_path" in scope else 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._answered = False

    async def receive(self) -> Message:
        message = await self._receive()
        # After the response every server sends a disconnect: only an earlier one is the caller's.
        if message["type"] == "http.disconnect" and not self._answered:
            self.client_gone = True
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            message = self._start_response(message)
        last = kind in _BODY and not message.get("more_body", False)
        if last:
            self._answered = True
        try:
            await self._send(message)
        except Exception as error:
            self.note_failed_send(error)
            raise
        if last:
            self.finish()
        elif kind == "http.response.body":
            self.note_sent(message.get("body", b""))

    def _start_response(self, message: Message) -> Message:
        # Frameworks respond to an exception while handling it.
        self.begin_response(message.get("status"), sys.exception())
        self._headers = headers = []
        for header in message.get("headers", ()):
            if header[0].lower() not in _OUR_HEADERS:
                headers.append(header)  # noqa: PERF401 (in Python 3.11 a comprehension is one more call)
        request_id, correlation_id = self.fix_ids()
        headers += _build_id_headers(request_id, correlation_id)
        message = dict(message)
        message["headers"] = headers
        return message

    def get_request(self) -> Scope:
        return self._scope

    def read_request_header(self, name: str) -> str | None:
        wanted = name.encode()
        found = [value for header, value in self._scope["headers"] if header == wanted]
        return decode_header(b",".join(found)) if found else None

    def read_response_headers(self) -> Mapping[str, str]:
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._headers}

    def find_route_template(self) -> str | None:
        return self._find_template(self._scope, self._mounted_at)
