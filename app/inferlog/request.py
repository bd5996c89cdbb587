"""What a request's event begins with and how it ends, whatever the web framework. Pure."""

import asyncio
from collections.abc import Iterable
from typing import Final

from inferlog.context import Inference
from inferlog.correlation import parse_traceparent, usable_id
from inferlog.event import to_microunits
from inferlog.line import described

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

# A client may send any word as method; an index field is no place for it (OpenTelemetry's `_OTHER`).
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
_FAILED: Final = frozenset({"rejected", "error"})
_ID_HEADERS: Final = frozenset({b"x-correlation-id", b"x-request-id", b"traceparent"})


def begin_request(method: str, headers: Iterable[tuple[bytes, bytes]], request_id: str) -> Inference:
    """
    Return the inference of a request that has just come in, with its ids.

    Args:
        method: As the client sent it.
        headers: Names in lower case.
        request_id: Made here, for this hop. The correlation id is the caller's ``X-Correlation-ID``, else its
            ``X-Request-ID``, else this; an id that could forge a line is replaced and its header named in a label.
    """
    inference = Inference()
    received = {name: value.decode("latin-1") for name, value in headers if name in _ID_HEADERS}
    fields = inference.fields
    fields["request_id"] = fields["correlation_id"] = request_id
    fields["http_request_method"] = method if method in _METHODS else "_OTHER"
    if not received:
        return inference
    refused = []
    for header in ("x-request-id", "x-correlation-id"):  # the second, if usable, is the stronger word
        value = received.get(header.encode())
        if value is not None and usable_id(value):
            fields["correlation_id"] = value
        elif value is not None:
            refused.append(header)
    traceparent = received.get(b"traceparent")
    if traceparent is not None:
        trace = parse_traceparent(traceparent)
        if trace:
            fields["trace_id"], fields["span_id"] = trace.trace_id, trace.span_id
        else:
            refused.append("traceparent")
    if refused:
        inference.labels = {"refused_headers": ",".join(refused)}
    return inference


def end_request(
    inference: Inference,
    *,
    latency_seconds: float,
    status_code: int | None,
    route: str | None,
    error: BaseException | None,
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
        client_gone: Whether the caller was seen to leave before the response was complete.
    """
    fields = inference.fields
    fields["latency_seconds"] = to_microunits(latency_seconds)
    if error is not None and status_code is None:
        status_code = 500  # what every server answers for an application that raised before its response
    inference.bind({"http_route": route, "http_response_status_code": status_code})
    if client_gone or isinstance(error, asyncio.CancelledError):
        fields["status"] = "cancelled"
    elif error is not None:
        fields["status"] = "error"
        fields.update(described(error))
    elif "status" not in fields:
        fields["status"] = _status_of(status_code, failed="error_type" in fields or "error_message" in fields)
    if fields["status"] in _FAILED and "error_type" not in fields:
        fields["error_type"] = str(status_code or "no_response")


def _status_of(status_code: int | None, *, failed: bool) -> str:
    if status_code is None or status_code >= 500:
        return "error"
    if status_code >= 400:
        return "rejected"
    return "error" if failed else "success"
