"""Start and end of a request's event, independent of the web framework: ids, user callbacks, client id, status."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from inferlog.context import Inference, check_synchronous, describe_callback_error, error_type
from inferlog.event import (
    NAME_LIMIT_CHARACTERS,
    Status,
    check_value,
    classify_status_code,
    cut,
    is_valid_id,
    to_microunits,
    to_utf8,
)
from inferlog.line import describe_error
from inferlog.redaction import is_credential
from inferlog.settings import Settings, SettingsError

NOT_AN_INFERENCE: Final = frozenset(
    {
        "/healthz",
        "/livez",
        "/readyz",
        "/health",
        "/metrics",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/favicon.ico",
    }
)
"""Paths of health checks, metrics and documentation, excluded by default."""

ModelVersion = str | Callable[[Any, Mapping[str, str]], str | None]
"""A constant, or a callback that takes the request and the response headers."""

ClientId = str | Callable[[Any], str | int | UUID | None]
"""The name of a request header, or a callback that takes the request."""

# Clients may send any word as method; unknown ones become `_OTHER`, as in OpenTelemetry, to bound the field's values.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
# https://www.w3.org/TR/trace-context/: version, trace id, parent id, flags; all-zero ids are invalid, and only versions
# after 00 may have more parts. The value is forwarded to other services: only characters that a header may contain.
_TRACEPARENT = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-[!-~]{0,200})?", re.ASCII
)
_DIGEST_BYTES: Final = 16
_FAILED: Final = frozenset({"rejected", "error"})
_WHOLE_REQUEST: Final = "the middleware measures the whole request; state the model's own time as model_latency_seconds"


def check_model_version(model_version: ModelVersion | None) -> ModelVersion | None:
    """
    Validate the *model_version* argument of a middleware at start, and return it.

    Raises:
        InvalidFieldError: If it is neither text nor a callable.
        TypeError: If it is an async callable.
    """
    if callable(model_version):
        check_synchronous("model_version", model_version)
        return model_version
    return None if model_version is None else str(check_value("model_version", model_version))


def check_client_id(client_id: ClientId | None, settings: Settings) -> ClientId | None:
    """
    Validate the *client_id* argument of a middleware at start, and return it; a header name in lower case.

    Raises:
        SettingsError: If it is neither a callable nor the name of a permitted header.
        TypeError: If it is an async callable.
    """
    if client_id is None:
        return None
    if callable(client_id):
        check_synchronous("client_id", client_id)
        return client_id
    if not isinstance(client_id, str):
        raise SettingsError(f"client_id is {client_id!r:.80}; expected a header name or a callable")
    settings.check_client_id_header("client_id", client_id)
    return client_id.lower()


def begin_request(method: str, request_id: str, received: Mapping[str, str], version: ModelVersion | None) -> Inference:
    """
    Return the inference of a new request, with its ids.

    Args:
        method: HTTP method as received.
        request_id: New id of this request. The correlation id is the caller's ``X-Correlation-ID``, else its
            ``X-Request-ID``, else this one; an invalid id is replaced and its header named in a label.
        received: The headers ``x-request-id``, ``x-correlation-id`` and ``traceparent``, as far as present.
        version: The model version, used here if it is a constant.
    """
    inference = Inference()
    fields = inference.fields
    fields["request_id"] = fields["correlation_id"] = request_id
    fields["http_request_method"] = method if method in _METHODS else "_OTHER"
    if isinstance(version, str):
        fields["model_version"] = version
    if received:
        _take_ids(inference, received)
    return inference


def _take_ids(inference: Inference, received: Mapping[str, str]) -> None:
    fields = inference.fields
    rejected = []
    for header in ("x-request-id", "x-correlation-id"):  # a valid X-Correlation-ID wins
        value = received.get(header)
        if value is not None and is_valid_id(value):
            fields["correlation_id"] = value
        elif value is not None:
            rejected.append(header)
    traceparent = received.get("traceparent")
    if traceparent is not None:
        trace = parse_traceparent(traceparent)
        if trace:
            inference.traceparent = traceparent
            fields["trace_id"], fields["span_id"] = trace.trace_id, trace.span_id
        else:
            rejected.append("traceparent")
    if rejected:
        inference.labels = {"refused_headers": ",".join(rejected)}


@dataclass(frozen=True, slots=True)
class Trace:
    """W3C trace context: ``trace.id`` of the call chain and ``span.id`` of the caller."""

    trace_id: str
    span_id: str


def parse_traceparent(value: str) -> Trace | None:
    """Return the trace context of a ``traceparent`` header, or None if it is not valid."""
    match = _TRACEPARENT.fullmatch(value)
    return Trace(match[1], match[2]) if match else None


def bind_callback(inference: Inference, name: str, find: Callable[[], Any]) -> None:
    """
    Bind the result of the user callback *find* as *name*, or record why it failed.

    The callback runs without an await, so that a CancelledError or GeneratorExit is its own and does not come from the
    event loop or the server. Only KeyboardInterrupt passes through.
    """
    try:
        inference.bind({name: find()})
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 (a user callback; its exceptions must not reach the client)
        inference.rejected.append(describe_callback_error(name, error))


def bind_model_version(
    inference: Inference, version: ModelVersion, request: Any, response_headers: Mapping[str, str]
) -> None:
    """Bind the configured model version: a constant, or the result of the user callback."""
    bind_callback(
        inference, "model_version", lambda: version if isinstance(version, str) else version(request, response_headers)
    )


def bind_client_id(
    inference: Inference,
    client_id: ClientId,
    request: Any,
    header: Callable[[str], str | None],
    settings: Settings,
) -> None:
    """Bind the client id from the configured header or user callback; an empty id binds nothing."""

    def find() -> Any:
        if settings.client_id_plain and isinstance(client_id, str):
            # A middleware created before configure() was validated against other settings.
            settings.check_client_id_header("client_id", client_id)
        value = header(client_id) if isinstance(client_id, str) else client_id(request)
        return None if value == "" else value

    bind_callback(inference, "client_id", find)


class ClientIds:
    """
    Converts a client id to its written form: 32 hexadecimal digits of BLAKE2b over the id in UTF-8.

    The same id and key give the same digits. Without a key, an id from a small set, such as a customer number, can be
    recovered by hashing all of them; with one, only with the key. The raw id stays in memory until its event is
    written, and log lines never quote it: it may be a credential.

    Args:
        key: Up to 64 bytes; empty for no key.
        plain: Write ids unhashed, except those with the shape of a credential.
    """

    def __init__(self, key: bytes, *, plain: bool) -> None:
        self._start = hashlib.blake2b(key=key, digest_size=_DIGEST_BYTES)
        self._plain = plain

    def __call__(self, client_id: str) -> str:
        """Return the written form of *client_id*."""
        client_id = str.__str__(client_id)  # a subclass may override encode()
        if self._plain and not is_credential(client_id):
            return cut(to_utf8(client_id), NAME_LIMIT_CHARACTERS)
        state = self._start.copy()
        state.update(client_id.encode("utf-8", "surrogatepass"))
        return state.hexdigest()


def header_text(raw: bytes) -> str:
    r"""Return a header's value decoded as UTF-8; an invalid byte becomes ``\xe9``."""
    return raw.decode("utf-8", "backslashreplace")


def end_request(
    inference: Inference,
    *,
    latency_seconds: float,
    status_code: int | None,
    route: str | None,
    error: BaseException | None,
    handled_error: BaseException | None,
    complete: bool,
    done: bool,
    client_gone: bool,
) -> None:
    """
    Set the result of the request: ``status``, and ``error.type`` on every failure.

    Args:
        inference: The request's inference, updated in place.
        latency_seconds: From the first byte received to the last byte sent.
        status_code: HTTP status of the response; None if no response began.
        route: Template of the matched route, never the raw path; None without a match.
        error: Exception raised by the application.
        handled_error: Exception that the application converted to a response; more specific than the code of a 5xx.
        complete: Whether the whole response was passed to the server.
        done: Whether a stream of server-sent events was passed to the server up to ``data: [DONE]``.
        client_gone: Whether a disconnect was observed before the response was complete.
    """
    fields = inference.fields
    inference.overrule("latency_seconds", to_microunits(latency_seconds), _WHOLE_REQUEST)
    cancelled = client_gone or (error is not None and isinstance(error, (asyncio.CancelledError, GeneratorExit)))
    raised = error is not None and _is_application_error(error, client_gone=client_gone)
    # The whole answer was sent, by its last event or the bound status: a later disconnect or cancellation is a success.
    if done or (cancelled and not raised and status_code is not None and "status" in fields):
        cancelled, complete, error = False, True, error if raised else None
    if error is not None and status_code is None and not cancelled:
        status_code = 500  # the response of every server to an exception before the response
    if route is not None and "http_route" not in fields:
        fields["http_route"] = check_value("http_route", route)
    stated_code = _replace_status_code(inference, status_code)
    if cancelled:
        inference.overrule("status", "cancelled", "the caller disconnected before the response was complete")
    elif error is not None:
        inference.overrule("status", "error", "the application has raised an exception")
        inference.bind_exception(describe_error(error))
    elif not complete:
        inference.overrule("status", "error", "the response is not complete")
        fields.setdefault("error_type", "no_response" if status_code is None else "incomplete_response")
    elif "status" not in fields:
        fields["status"] = _derive_status(status_code, failed="error_type" in fields or "error_message" in fields)
    elif fields["status"] == "success" and status_code is not None and status_code >= 500:
        inference.overrule("status", "error", "the response has a server error code")
    if fields["status"] in _FAILED and "error_type" not in fields:
        _find_error_type(inference, stated_code, status_code, handled_error)


def _is_application_error(error: BaseException, *, client_gone: bool) -> bool:
    """Return whether *error* is an application error: not a cancellation, nor a send to a disconnected caller."""
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return False
    # Starlette's ClientDisconnect and waitress's ClientDisconnected are not ConnectionErrors.
    return not (
        client_gone and (isinstance(error, ConnectionError) or type(error).__name__.startswith("ClientDisconnect"))
    )


def _find_error_type(
    inference: Inference, stated_code: int | None, status_code: int | None, handled_error: BaseException | None
) -> None:
    """Set ``error.type``: of the handled exception, else the status code that the service bound or sent."""
    fields = inference.fields
    if handled_error is not None and status_code is not None and status_code >= 500:
        message = fields.get("error_message", handled_error)
        inference.bind({"error_type": error_type(handled_error), "error_message": message})
    else:
        code = status_code if stated_code is None else stated_code
        fields["error_type"] = "no_response" if code is None else str(code)


def _replace_status_code(inference: Inference, status_code: int | None) -> int | None:
    """Set the *status_code* of the response, none if no response began, and return the bound one."""
    stated: int | None = inference.fields.get("http_response_status_code")
    if stated is None and status_code is not None:
        inference.fields["http_response_status_code"] = status_code
    elif status_code is not None:
        inference.overrule("http_response_status_code", status_code, "the response has another")
    elif stated is not None:
        inference.overrule("http_response_status_code", None, "no response began")
        del inference.fields["http_response_status_code"]
    return stated


def _derive_status(status_code: int | None, *, failed: bool) -> Status:
    if status_code is None:
        return "error"
    if status_code < 400:
        return "error" if failed else "success"
    return classify_status_code(status_code)
