"""Middleware for FastAPI, Starlette and any other ASGI application: raw ASGI, so that streams stay streams."""

import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any, Final

from inferlog.client import ClientId, checked_client_id, header_text
from inferlog.configuration import runtime, settings_in_force
from inferlog.context import Inference, attach, current_inference
from inferlog.internal_errors import log_failure
from inferlog.middleware.exchange import Exchange
from inferlog.middleware.starlette_route import RouteTemplates
from inferlog.request import NOT_AN_INFERENCE, ModelVersion, begin_request, checked_model_version

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_TYPES: Final = frozenset({"http", "websocket"})
_OWNED: Final = "inferlog.inference"
_ID_HEADERS: Final = {name.encode(): name for name in ("x-request-id", "x-correlation-id", "traceparent")}
_OUR_HEADERS: Final = frozenset({b"x-request-id", b"x-correlation-id"})
_HANDSHAKE_ANSWERS: Final = frozenset({"websocket.accept", "websocket.http.response.start"})
_BODY: Final = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})


class InferenceMiddleware:
    """
    Writes exactly one event for each HTTP request, whatever ends it, and gives the response its ids.

    The event is written when the last byte of the response has been handed over: a background task that runs after
    it is not part of the request. The application's exceptions pass through unchanged. ``X-Request-ID`` and
    ``X-Correlation-ID`` of the response are the event's, also where the application has set its own: whoever has a
    response can find its event.

    Where it stands decides what it sees. ``app.add_middleware(InferenceMiddleware)`` is inside of what answers for
    exceptions without a handler: they are in the event, and their response has no ids. ``InferenceMiddleware(app)``,
    given to the server, is around everything. Inside of ``BaseHTTPMiddleware``, which means added before it, a stream
    that breaks is seen to break; outside, it looks whole.

    The route's template is found for FastAPI and Starlette; with another framework the handler may state it:
    ``bind_inference(http_route="/predict/{model}")``.

    A WebSocket's connection makes no event. Its handler's log lines and calls to other services carry the ids of its
    handshake, and so does the answer to that; each ``track_performance`` in it is an event of its own, with the
    connection's correlation id.

    What ASGI shows of a caller who leaves is a disconnect received or a send that fails. A handler that does neither
    before it answers has answered, as far as anyone can tell. A deadline around the middleware cancels it, which looks
    like a caller who leaves; one inside of it is an error.

    Args:
        app: The ASGI application.
        exclude: Paths, seen from the application, that make no event. Default: health, metrics, documentation.
        model_version: What answers, unless the handler says so with ``bind_inference``: a constant, or a callable
            that finds it in the request's scope and the response's headers (names in lower case, empty where no
            response began), such as ``lambda scope, headers: headers.get("x-model")``. Called once, at the end.
        client_id: Who called, unless the handler says so: a header's name, or a callable that finds it in the
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
        self._model_version = checked_model_version(model_version)
        self._client_id = checked_client_id(client_id, settings_in_force())
        self._templates = RouteTemplates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; ASGI's entry point."""
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, _resting_at_the_end(send))
            return
        if kind not in _TYPES or _OWNED in scope or _path_in_application(scope) in self._exclude:
            await self.app(scope, receive, send)
            return
        if kind == "websocket":
            await self._connect(scope, receive, send)
            return
        exchange = _AsgiExchange(scope, receive, send, self._templates, self._model_version, client_id=self._client_id)
        scope[_OWNED] = exchange.inference  # an application mounted in this one leaves the event to us
        token = current_inference.set(exchange.inference)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.finish(error)
            raise
        else:
            exchange.finish(complete=False)  # unless the last byte has done so
        finally:
            current_inference.reset(token)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a WebSocket's handler work under the ids of its handshake, which is not an inference."""
        connection = _connection(scope)

        async def send_with_ids(message: Message) -> None:
            if message["type"] in _HANDSHAKE_ANSWERS:
                headers = [header for header in message.get("headers", ()) if header[0].lower() not in _OUR_HEADERS]
                message = {**message, "headers": [*headers, *_id_headers(connection)]}
            await send(message)

        scope[_OWNED] = connection
        token = current_inference.set(connection)
        try:
            await self.app(scope, receive, send_with_ids)
        except BaseException as error:
            attach(error, connection)
            raise
        finally:
            current_inference.reset(token)


def _resting_at_the_end(send: Send) -> Send:
    """
    Return *send*, by which the service also says goodbye when its lifespan ends.

    uvicorn then ends the process by the signal that it has received, which runs no ``atexit``.
    """

    async def send_and_rest(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown."):
            try:
                runtime().heartbeat.rest()
            except Exception as failure:  # noqa: BLE001 (a log that fails must not keep the service from its end)
                log_failure("the end of the heartbeat", failure)
        await send(message)

    return send_and_rest


def _connection(scope: Scope) -> Inference:
    """Return the ids of a WebSocket's connection, to which no call can add: each call in it is an event of its own."""
    connection = begin_request("GET", runtime().make_id(), _received_ids(scope), None)
    connection.ended = True
    return connection


def _received_ids(scope: Scope) -> dict[str, str]:
    received = {}
    for name, value in scope["headers"]:
        if name in _ID_HEADERS:
            received[_ID_HEADERS[name]] = value.decode("latin-1")
    return received


def _id_headers(inference: Inference) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """Return the ids of *inference* as headers of the response."""
    fields = inference.fields
    return (
        (b"x-request-id", fields["request_id"].encode()),
        (b"x-correlation-id", fields["correlation_id"].encode()),
    )


def _path_in_application(scope: Scope) -> str:
    root_path = scope.get("root_path")
    path: str = scope["path"]
    return path.removeprefix(root_path) if root_path else path


class _AsgiExchange(Exchange):
    """One request's scope, ``receive`` and ``send``."""

    __slots__ = ("_answered", "_headers", "_mounted_at", "_receive", "_scope", "_send", "_templates")

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        templates: RouteTemplates,
        model_version: ModelVersion | None,
        *,
        client_id: ClientId | None,
    ) -> None:
        super().__init__(scope["method"], _received_ids(scope), model_version, client_id)
        self._activity.serve_on_this_loop()
        self._scope, self._receive, self._send = scope, receive, send
        self._templates = templates
        self._mounted_at = len(scope["root_path"]) if "app_root_path" in scope else 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._answered = False

    async def receive(self) -> Message:
        message = await self._receive()
        # After the response every server says "disconnect": only before its end has the caller left.
        if message["type"] == "http.disconnect" and not self._answered:
            self.client_gone = True
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            message = self._begun(message)
        last = kind in _BODY and not message.get("more_body", False)
        if last:
            self._answered = True
        try:
            await self._send(message)
        except OSError:
            self.client_gone = True
            raise
        if last:
            self.finish()
        elif kind == "http.response.body":
            self.note_sent(message.get("body", b""))

    def _begun(self, message: Message) -> Message:
        # Frameworks answer for an exception while they handle it.
        self.begin_response(message.get("status"), sys.exc_info()[1])
        self._headers = [header for header in message.get("headers", ()) if header[0].lower() not in _OUR_HEADERS]
        self._headers += _id_headers(self.inference)
        return {**message, "headers": self._headers}

    def request(self) -> Scope:
        return self._scope

    def request_header(self, name: str) -> str | None:
        wanted = name.encode()
        found = [value for header, value in self._scope["headers"] if header == wanted]
        return header_text(b",".join(found)) if found else None

    def response_headers(self) -> Mapping[str, str]:
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._headers}

    def route_template(self) -> str | None:
        return self._templates(self._scope, self._mounted_at)
