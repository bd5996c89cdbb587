"""What a request's event begins with and how it ends, whatever the web framework. Pure, but for warnings."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from inferlog.callbacks import ask, check_answers_at_once
from inferlog.client import ClientId
from inferlog.context import Inference, error_type
from inferlog.correlation import parse_traceparent, usable_id
from inferlog.event import Status, checked, status_of_code, to_microunits
from inferlog.line import describe_error
from inferlog.settings import Settings

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
"""Paths of health, metrics and documentation: no event unless asked for."""

ModelVersion = str | Callable[[Any, Mapping[str, str]], str | None]
"""A constant, or what finds it in a request and the headers of its response."""

# A client may send any word as method; an index field is no place for it (OpenTelemetry's `_OTHER`).
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
_FAILED: Final = frozenset({"rejected", "error"})
_WHOLE_REQUEST: Final = "the middleware measures the whole request; state the model's own time as model_latency_seconds"


def checked_model_version(given: ModelVersion | None) -> ModelVersion | None:
    """
    Return what a middleware is *given* as model version, so that a wrong one is heard of at start.

    Raises:
        InvalidFieldError: If it is neither text nor a callable.
        TypeError: If it is an async callable.
    """
    if callable(given):
        check_answers_at_once("model_version", given)
        return given
    return None if given is None else str(checked("model_version", given))


def begin_request(method: str, request_id: str, received: Mapping[str, str], version: ModelVersion | None) -> Inference:
    """
    Return the inference of a request that has just come in, with its ids.

    Args:
        method: As the client sent it.
        request_id: Made here, for this hop. The correlation id is the caller's ``X-Correlation-ID``, else its
            ``X-Request-ID``, else this; an id that could forge a line is replaced and its header named in a label.
        received: What came in of the headers ``x-request-id``, ``x-correlation-id`` and ``traceparent``.
        version: The model's, if it is a constant.
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
    refused = []
    for header in ("x-request-id", "x-correlation-id"):  # the second, if usable, is the stronger word
        value = received.get(header)
        if value is not None and usable_id(value):
            fields["correlation_id"] = value
        elif value is not None:
            refused.append(header)
    traceparent = received.get("traceparent")
    if traceparent is not None:
        trace = parse_traceparent(traceparent)
        if trace:
            inference.traceparent = traceparent
            fields["trace_id"], fields["span_id"] = trace.trace_id, trace.span_id
        else:
            refused.append("traceparent")
    if refused:
        inference.labels = {"refused_headers": ",".join(refused)}


def find_model_version(
    inference: Inference, version: ModelVersion, request: Any, response_headers: Mapping[str, str]
) -> None:
    """State the model's version as the service's callable finds it."""
    ask(inference, "model_version", lambda: version if isinstance(version, str) else version(request, response_headers))


def find_client_id(
    inference: Inference,
    client_id: ClientId,
    request: Any,
    header: Callable[[str], str | None],
    settings: Settings,
) -> None:
    """State who called, as the header says that is named, or as the service's callable finds it. Nobody: no value."""

    def found() -> Any:
        if settings.client_id_plain and isinstance(client_id, str):
            # A middleware made before configure() was checked against other settings.
            settings.check_client_id_header("client_id", client_id)
        who = header(client_id) if isinstance(client_id, str) else client_id(request)
        return None if who == "" else who

    ask(inference, "client_id", found)


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
    State how the request ended: ``status``, and ``error.type`` on every failure.

    Args:
        inference: Takes the result.
        latency_seconds: First byte in to last byte out.
        status_code: Of the response; None if none began.
        route: The template that matched, never the raw path; None if none did.
        error: What the application raised.
        handled_error: What it caught and made a response of; tells more than the code of a 5xx.
        complete: Whether the whole response was handed over.
        done: Whether a stream of server-sent events was handed over up to ``data: [DONE]``.
        client_gone: Whether the caller was seen to leave before the response was complete.
    """
    fields = inference.fields
    inference.overrule("latency_seconds", to_microunits(latency_seconds), _WHOLE_REQUEST)
    cancelled = client_gone or (error is not None and isinstance(error, (asyncio.CancelledError, GeneratorExit)))
    raised = error is not None and _is_of_the_application(error, client_gone=client_gone)
    # The whole answer is out, as its last event or the handler says. Its caller may leave, and the server cancel it.
    if done or (cancelled and not raised and status_code is not None and "status" in fields):
        cancelled, complete, error = False, True, error if raised else None
    if error is not None and status_code is None and not cancelled:
        status_code = 500  # what every server answers for an application that raised before its response
    if route is not None and "http_route" not in fields:
        fields["http_route"] = checked("http_route", route)
    stated_code = _replace_status_code(inference, status_code)
    if cancelled:
        inference.overrule("status", "cancelled", "the caller left before the response was complete")
    elif error is not None:
        inference.overrule("status", "error", "the application has raised an exception")
        inference.bind_exception(describe_error(error))
    elif not complete:
        inference.overrule("status", "error", "the response is not complete")
        fields.setdefault("error_type", "no_response" if status_code is None else "incomplete_response")
    elif "status" not in fields:
        fields["status"] = _status_of(status_code, failed="error_type" in fields or "error_message" in fields)
    elif fields["status"] == "success" and status_code is not None and status_code >= 500:
        inference.overrule("status", "error", "the response's status code is an error's")
    if fields["status"] in _FAILED and "error_type" not in fields:
        _find_error_type(inference, stated_code, status_code, handled_error)


def _is_of_the_application(error: BaseException, *, client_gone: bool) -> bool:
    """Return whether *error* is the application's own: not a cancellation, nor a send to a caller who has left."""
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return False
    # Starlette's ClientDisconnect and waitress's ClientDisconnected are no errors of connections.
    return not (
        client_gone and (isinstance(error, ConnectionError) or type(error).__name__.startswith("ClientDisconnect"))
    )


def _find_error_type(
    inference: Inference, stated_code: int | None, status_code: int | None, handled_error: BaseException | None
) -> None:
    """State ``error.type``: of the exception that was handled, else the code that the service stated, or answered."""
    fields = inference.fields
    if handled_error is not None and status_code is not None and status_code >= 500:
        message = fields.get("error_message", handled_error)
        inference.bind({"error_type": error_type(handled_error), "error_message": message})
    else:
        code = status_code if stated_code is None else stated_code
        fields["error_type"] = "no_response" if code is None else str(code)


def _replace_status_code(inference: Inference, status_code: int | None) -> int | None:
    """Set the *status_code* of the response, none where none began, and return the stated one."""
    stated: int | None = inference.fields.get("http_response_status_code")
    if stated is None and status_code is not None:
        inference.fields["http_response_status_code"] = status_code
    elif status_code is not None:
        inference.overrule("http_response_status_code", status_code, "the response has another")
    elif stated is not None:
        inference.overrule("http_response_status_code", None, "no response began")
        del inference.fields["http_response_status_code"]
    return stated


def _status_of(status_code: int | None, *, failed: bool) -> Status:
    if status_code is None:
        return "error"
    if status_code < 400:
        return "error" if failed else "success"
    return status_of_code(status_code)
