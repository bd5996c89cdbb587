"""Middleware for FastAPI, Starlette and any other ASGI application: raw ASGI, so that streams stay streams."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, Final

from inferlog.configuration import runtime
from inferlog.context import Inference, current_inference
from inferlog.request import NOT_AN_INFERENCE, begin_request, end_request

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_OWNED: Final = "inferlog.inference"


class InferenceMiddleware:
    """
    Writes exactly one event for each HTTP request, whatever ends it, and gives the response its ids.

    The event is written when the last byte of the response has been handed over: a background task that runs after
    it is not part of the request. The application's exceptions pass through unchanged.

    Args:
        app: The ASGI application.
        exclude: Paths that make no event. Default: those of health, metrics and documentation.
    """

    def __init__(self, app: ASGIApp, *, exclude: Collection[str] = NOT_AN_INFERENCE) -> None:
        self.app = app
        self._exclude = frozenset(exclude)
        runtime()  # a service that forgot configure() hears of it at start, not at its first request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; ASGI's entry point."""
        if scope["type"] != "http" or scope["path"] in self._exclude or _OWNED in scope:
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        scope[_OWNED] = exchange.inference  # an application mounted in this one leaves the event to us
        token = current_inference.set(exchange.inference)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.finish(error)
            raise
        else:
            exchange.finish(None)
        finally:
            current_inference.reset(token)


class _Exchange:
    """One request and its response, as they pass by."""

    __slots__ = (
        "_complete",
        "_gone",
        "_mounted_at",
        "_receive",
        "_scope",
        "_send",
        "_started",
        "_status_code",
        "inference",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._started = time.perf_counter()
        self._scope, self._receive, self._send = scope, receive, send
        self._mounted_at = len(scope.get("root_path", ""))
        self._status_code: int | None = None
        self._gone = False
        self._complete = False
        self.inference: Inference = begin_request(scope["method"], scope["headers"], runtime().make_id())

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            # After the response every server says "disconnect": only before its end has the caller left.
            self._gone = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status_code = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *self._id_headers()]}
        try:
            await self._send(message)
        except (OSError, asyncio.CancelledError):
            self._gone = True
            raise
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.finish(None)

    def finish(self, error: BaseException | None) -> None:
        """Write the event, once."""
        if self._complete:
            return
        self._complete = True
        end_request(
            self.inference,
            latency_seconds=time.perf_counter() - self._started,
            status_code=self._status_code,
            route=self._route_template(),
            error=error,
            client_gone=self._gone,
        )
        runtime().record(self.inference)

    def _route_template(self) -> str | None:
        # The framework's router leaves both in the scope: the route that matched, and below a mount the mount's path.
        template = getattr(self._scope.get("route"), "path", None)
        return self._scope.get("root_path", "")[self._mounted_at :] + template if isinstance(template, str) else None

    def _id_headers(self) -> list[tuple[bytes, bytes]]:
        fields = self.inference.fields
        return [
            (b"x-request-id", fields["request_id"].encode()),
            (b"x-correlation-id", fields["correlation_id"].encode()),
        ]
