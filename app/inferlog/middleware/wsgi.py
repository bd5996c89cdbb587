"""Middleware for Flask and any other WSGI application."""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sized
from types import TracebackType
from typing import Any, Final

from inferlog.client_id import ClientId, check_client_id, decode_header
from inferlog.configuration import get_settings
from inferlog.context import current_inference
from inferlog.middleware import flask_app
from inferlog.request import (
    NOT_AN_INFERENCE,
    Exchange,
    ModelVersion,
    ValueSources,
    check_model_version,
    is_disconnect,
)

Environ = dict[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

_ID_HEADERS: Final = (
    ("HTTP_X_REQUEST_ID", "x-request-id"),
    ("HTTP_X_CORRELATION_ID", "x-correlation-id"),
    ("HTTP_TRACEPARENT", "traceparent"),
)
_OUR_HEADERS: Final = frozenset({"x-request-id", "x-correlation-id"})


class InferenceWSGIMiddleware:
    """
    Writes exactly one event for each HTTP request, however it ends, and adds its ids to the response.

    ``app.wsgi_app = inferlog.InferenceWSGIMiddleware(app.wsgi_app)`` for Flask, whose exceptions and route templates
    it also finds below other middleware; ``application = inferlog.InferenceWSGIMiddleware(application)`` for any
    other, whose handlers can bind the route with ``bind_inference(http_route="/predict/{model}")``.

    The event is written after the server has accepted the last part of the response: code that runs when the response
    is closed is not part of the request. Exceptions pass through unchanged. ``X-Request-ID`` and ``X-Correlation-ID``
    of the response are those of the event and replace values set by the application.

    WSGI reports a caller's disconnect by closing the response before its end. A response in one part is already in the
    system's buffers, so that a disconnect cannot be detected.

    Args:
        app: The WSGI application.
        exclude: Paths, relative to the application, without an event. Default: health, metrics, documentation.
        model_version: Version of the model, unless the handler binds one: a constant, or a callback that takes the
            request's environ and the response's headers (names in lower case, empty if no response started), such as
            ``lambda environ, headers: headers.get("x-model")``. Called once, at the end.
        client_id: Id of the caller, unless the handler binds one: a header name, or a callback that takes the
            request's environ, such as ``lambda environ: environ.get("REMOTE_USER")``. Called once, at the end.
            Default: the setting ``client_id_header``. Written as a hash, unless the setting ``client_id_plain`` is on.
    """

    def __init__(
        self,
        app: WSGIApp,
        *,
        exclude: Collection[str] = NOT_AN_INFERENCE,
        model_version: ModelVersion | None = None,
        client_id: ClientId | None = None,
    ) -> None:
        self.app = app
        self._exclude = frozenset(exclude)
        self._sources = ValueSources(check_model_version(model_version), check_client_id(client_id, get_settings()))
        flask_app.listen_for_exceptions()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request (WSGI entry point)."""
        if environ.get("PATH_INFO") in self._exclude or _is_in_request():
            return self.app(environ, start_response)
        exchange = _WsgiExchange(self.app, environ, start_response, self._sources)
        token = current_inference.set(exchange.inference)
        try:
            body = self.app(environ, exchange.start_response)
        except BaseException as error:
            exchange.fail(error)
            raise
        finally:
            # The thread's next request has its own inference.
            current_inference.reset(token)
        # A server may use the length of a list to detect a single part, and set Content-Length.
        return _SizedBody(body, exchange) if isinstance(body, (list, tuple)) else _Body(body, exchange)


def _is_in_request() -> bool:
    """Return whether an outer middleware, WSGI or ASGI, owns the request's event."""
    inference = current_inference.get()
    return inference is not None and not inference.ended and "http_request_method" in inference.fields


class _WsgiExchange(Exchange):
    """
    Exchange over an environ and ``start_response``.

    Attributes:
        answered: Whether the server has accepted a part of the response, and with it the status.
    """

    __slots__ = ("_app", "_environ", "_headers", "_mounted_at", "_route", "_start_response", "_write", "answered")

    def __init__(self, app: WSGIApp, environ: Environ, start_response: StartResponse, sources: ValueSources) -> None:
        received = {}
        for key, name in _ID_HEADERS:
            if key in environ:
                received[name] = environ[key]
        super().__init__(environ["REQUEST_METHOD"], received, sources)
        self._app = app
        self._environ = environ
        self._mounted_at = environ.get("SCRIPT_NAME", "")
        self._start_response = start_response
        self._headers: list[tuple[str, str]] = []
        self._route: str | None = None
        self.answered = False

    def start_response(self, status: str, headers: list[tuple[str, str]], *exc_info: ExcInfo | None) -> Write:
        handled_error = exc_info[0][1] if exc_info and exc_info[0] else sys.exc_info()[1]
        self.begin_response(_parse_status_code(status), handled_error)
        self._route = flask_app.find_route_template(self._environ, self._app, self._mounted_at)
        request_id, correlation_id = self.fix_ids()
        self._headers = [header for header in headers if header[0].lower() not in _OUR_HEADERS]
        self._headers += (("X-Request-ID", request_id), ("X-Correlation-ID", correlation_id))
        self._write = self._start_response(status, self._headers, *exc_info)
        return self.write

    def write(self, data: bytes) -> None:
        self.answered = True
        try:
            self._write(data)
        except Exception as error:
            self.note_failed_send(error)
            raise
        self.note_sent(data)

    def fail(self, error: BaseException) -> None:
        """Write the event of a request whose application has raised *error*."""
        if not self.answered:
            self.status_code = None  # the server responds itself, with another status than the application's
        self.finish(error)

    def has_no_body(self) -> bool:
        """Return whether a server may close the response without iterating over the body."""
        return self._environ["REQUEST_METHOD"] == "HEAD" or self.status_code in (204, 304)

    def get_request(self) -> Environ:
        return self._environ

    def read_request_header(self, name: str) -> str | None:
        value = self._environ.get(f"HTTP_{name.upper().replace('-', '_')}")
        return None if value is None else decode_header(value.encode("latin-1", "replace"))

    def read_response_headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self._headers}

    def find_route_template(self) -> str | None:
        return self._route


def _parse_status_code(status: Any) -> int | None:
    try:
        return int(status[:3])
    except (TypeError, ValueError):
        return None  # invalid; the server reports it


class _Body:
    """Iterator over the response's parts. The code that produces a part runs in the request's context."""

    __slots__ = ("_body", "_exchange", "_next", "_part")

    def __init__(self, body: Iterable[bytes], exchange: _WsgiExchange) -> None:
        self._body = body
        self._exchange = exchange
        self._part = b""

    def __iter__(self) -> Iterator[bytes]:
        self._next = iter(self._body).__next__
        return self

    def __next__(self) -> bytes:
        if self._part:
            self._exchange.note_sent(self._part)  # the server has sent it and requests the next part
        token = current_inference.set(self._exchange.inference)
        try:
            part = self._next()
        except StopIteration:
            self._exchange.finish()
            raise
        except BaseException as error:
            self._exchange.fail(error)
            raise
        finally:
            current_inference.reset(token)
        self._exchange.answered = True
        self._part = part
        return part

    def close(self) -> None:
        """Close the application's response; the server calls this at the end of every response."""
        exchange = self._exchange
        # The server closes early because of the exception being handled: its own error, or the client's disconnect.
        error = sys.exc_info()[1]
        token = current_inference.set(exchange.inference)
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        except BaseException as closing_error:
            exchange.fail(closing_error)
            raise
        finally:
            current_inference.reset(token)
        if error is None or is_disconnect(error):
            exchange.client_gone = not exchange.has_no_body()
            exchange.finish()
        else:
            exchange.fail(error)


class _SizedBody(_Body):
    """Iterator over the parts of a list or tuple, with its length."""

    __slots__ = ()

    def __len__(self) -> int:
        assert isinstance(self._body, Sized)  # noqa: S101
        return len(self._body)
