"""One HTTP request, from its first byte to its event: ids, user callbacks and outcome, whatever its framework."""

import asyncio
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from inferlog.client_id import ClientId, bind_client_id
from inferlog.configuration import get_runtime
from inferlog.context import Inference, attach, check_synchronous, log_failure, name_error_type
from inferlog.event import CHECKS, Status, check_value, classify_status_code, is_valid_id, to_microunits
from inferlog.line import describe_error
from inferlog.recorder import unwritten_events
from inferlog.settings import Settings
from inferlog.streams import DoneMark

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

# Clients may send any word as method; unknown ones become `_OTHER`, as in OpenTelemetry, to bound the field's values.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
# https://www.w3.org/TR/trace-context/: version, trace id, parent id, flags; all-zero ids are invalid, and only versions
# after 00 may have more parts. The value is forwarded to other services: only characters that a header may contain.
_TRACEPARENT = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-[!-~]{0,200})?", re.ASCII
)
_check_route: Final = CHECKS["http_route"]
_CANCELLATIONS: Final = (asyncio.CancelledError, GeneratorExit)
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
    fields: dict[str, Any] = {
        "request_id": request_id,
        "correlation_id": request_id,
        "http_request_method": method if method in _METHODS else "_OTHER",
    }
    inference = Inference(fields)
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


@dataclass(frozen=True, slots=True)
class ValueSources:
    """
    Sources of values that the handler has not bound.

    Attributes:
        model_version: Version of the model; None if only handlers know it.
        client_id: Id of the caller; None for the setting ``client_id_header``.
    """

    model_version: ModelVersion | None
    client_id: ClientId | None


class Exchange(ABC):
    """
    Observed state of one request until its event is written. A middleware derives it for its protocol.

    Attributes:
        inference: Takes the values that the service binds.
        status_code: HTTP status of the response; None before it started.
        client_gone: Whether a disconnect was observed before the response was complete.
    """

    __slots__ = (
        "_activity",
        "_done_mark",
        "_failed_sends",
        "_handled_error",
        "_sent_ids",
        "_sources",
        "_started",
        "client_gone",
        "inference",
        "status_code",
    )

    def __init__(self, method: str, received: Mapping[str, str], sources: ValueSources) -> None:
        self._started = time.perf_counter()
        self._sources = sources
        running = get_runtime()
        self._activity = activity = running.heartbeat.activity
        self.inference = inference = begin_request(method, running.make_id(), received, sources.model_version)
        inference.fields["in_flight"] = activity.begin()
        self.status_code: int | None = None
        self._handled_error: BaseException | None = None
        self.client_gone = False
        self._sent_ids: tuple[str, str] | None = None
        self._failed_sends: tuple[BaseException, ...] = ()
        self._done_mark: DoneMark | None = None

    def begin_response(self, status_code: Any, handled_error: BaseException | None) -> None:
        """
        Record the start of the response.

        Args:
            status_code: Status code as set by the application, of any type.
            handled_error: Exception being handled at the moment. It is more specific than "500", except for an
                HTTPException, which is ignored.
        """
        self.status_code = int(status_code) if isinstance(status_code, int) and 100 <= status_code <= 599 else None
        if handled_error is not None and type(handled_error).__name__ != "HTTPException":
            self._handled_error = handled_error

    def fix_ids(self) -> tuple[str, str]:
        """Return request id and correlation id for the response's headers; from now on they are those of the event."""
        if self._sent_ids is None:
            fields = self.inference.fields
            self._sent_ids = fields["request_id"], fields["correlation_id"]
        return self._sent_ids

    def note_sent(self, part: Any) -> None:
        """Record that the server has accepted *part* of a stream; ignore a part that is not bytes, which is invalid."""
        if isinstance(part, (bytes, bytearray, memoryview)):
            if self._done_mark is None:
                self._done_mark = DoneMark()
            self._done_mark.take(part)

    def note_failed_send(self, error: BaseException) -> None:
        """Record that the server has raised *error* for a part of the response."""
        if is_disconnect(error):
            self.client_gone = True
            self._failed_sends += (error,)

    def finish(self, error: BaseException | None = None, *, complete: bool = True) -> None:
        """
        Write the event, at the first call only.

        Raises only an exception of a signal handler that is not an ``Exception``, such as KeyboardInterrupt.

        Args:
            error: Exception raised by the application.
            complete: Whether the whole response was passed to the server.
        """
        inference = self.inference
        if error is not None:
            attach(error, inference)
        if inference.ended:
            return
        try:
            inference.end()
            self._activity.end()
            latency_seconds = to_microunits(time.perf_counter() - self._started)
            running = get_runtime()
            try:
                self._find_missing_values(running.settings)
            finally:
                self._keep_sent_ids()
                self._set_outcome(error, latency_seconds, complete)
                running.record(inference)
        except BaseException as failure:
            if not inference.closed:
                unwritten_events.append(type(failure).__name__)
            if not isinstance(failure, Exception):
                raise  # of a signal handler, as by Ctrl-C
            # A failure to log must not change a response, nor hide its error.
            log_failure("the event of a request", failure)
        # The tracebacks of exceptions refer to this object.
        self._handled_error, self._failed_sends = None, ()

    def _find_missing_values(self, settings: Settings) -> None:
        """Run the callbacks for client id and model version, unless the handler has bound them."""
        inference, version = self.inference, self._sources.model_version
        client_id = self._sources.client_id or settings.client_id_header
        if client_id is not None and "client_id" not in inference.fields:
            bind_client_id(inference, client_id, self.get_request(), self.read_request_header, settings)
        if version is not None and "model_version" not in inference.fields:
            self._find_version(version)

    def _find_version(self, version: ModelVersion) -> None:
        self.inference.bind_result(
            "model_version",
            lambda: version if isinstance(version, str) else version(self.get_request(), self.read_response_headers()),
        )

    def _keep_sent_ids(self) -> None:
        """Replace ids that were bound after the response's headers had named others."""
        fields, sent = self.inference.fields, self._sent_ids
        if sent is None or sent == (fields["request_id"], fields["correlation_id"]):
            return
        for name, sent_id in zip(("request_id", "correlation_id"), sent, strict=True):
            self.inference.overrule(name, sent_id, "the response already names another")

    def _set_outcome(self, error: BaseException | None, latency_seconds: float, complete: bool) -> None:
        """Set latency, route, status code and ``status``, and ``error.type`` on every failure."""
        inference = self.inference
        fields = inference.fields
        if "latency_seconds" in fields:
            inference.overrule("latency_seconds", latency_seconds, _WHOLE_REQUEST)
        else:
            fields["latency_seconds"] = latency_seconds
        cancelled = False
        if error is not None or self.client_gone or self._done_mark is not None:
            error, complete, cancelled = self._judge_end(error, complete)
        status_code = self.status_code
        if "http_route" not in fields and (route := self.find_route_template()) is not None:
            fields["http_route"] = _check_route(route)
        stated_code = fields.get("http_response_status_code")
        if stated_code is not None:
            _replace_status_code(inference, status_code)
        elif status_code is not None:
            fields["http_response_status_code"] = status_code
        if error is not None or cancelled or not complete:
            self._set_failure(error, cancelled)
        elif "status" not in fields:
            fields["status"] = _derive_status(status_code, failed="error_type" in fields or "error_message" in fields)
        elif fields["status"] == "success" and status_code is not None and status_code >= 500:
            inference.overrule("status", "error", "the response has a server error code")
        if fields["status"] in _FAILED and "error_type" not in fields:
            self._find_error_type(stated_code, status_code)

    def _judge_end(self, error: BaseException | None, complete: bool) -> tuple[BaseException | None, bool, bool]:
        """Return the error of the service, whether the response is complete, and whether its caller has left."""
        error = _unwrap(error)
        cancelled = self.client_gone or isinstance(error, _CANCELLATIONS)
        raised = error is not None and self._is_application_error(error)
        is_stated = cancelled and not raised and self.status_code is not None and "status" in self.inference.fields
        if self._is_done() or is_stated:
            # The whole answer was sent, by its last event or the bound status: a later disconnect is a success.
            cancelled, complete, error = False, True, error if raised else None
        if error is not None and self.status_code is None and not cancelled:
            self.status_code = 500  # the response of every server to an exception before the response
        return error, complete, cancelled

    def _set_failure(self, error: BaseException | None, cancelled: bool) -> None:
        inference = self.inference
        if cancelled:
            inference.overrule("status", "cancelled", "the caller disconnected before the response was complete")
        elif error is not None:
            inference.overrule("status", "error", "the application has raised an exception")
            inference.bind_exception(describe_error(error))
        else:
            inference.overrule("status", "error", "the response is not complete")
            reason = "no_response" if self.status_code is None else "incomplete_response"
            inference.fields.setdefault("error_type", reason)

    def _is_application_error(self, error: BaseException) -> bool:
        """Return whether *error* is not a cancellation, nor comes from a send to a disconnected caller."""
        if isinstance(error, _CANCELLATIONS):
            return False
        if isinstance(error, BaseExceptionGroup):
            return any(map(self._is_application_error, error.exceptions))
        # By identity: an OSError can also be the application's own, such as that of a file.
        if any(failed is error or failed is error.__cause__ for failed in self._failed_sends):
            return False
        return not (self.client_gone and _is_named_disconnect(error))

    def _is_done(self) -> bool:
        """Return whether a stream of server-sent events was passed to the server up to ``data: [DONE]``."""
        mark = self._done_mark
        return (
            mark is not None
            and mark.seen
            and self.read_response_headers().get("content-type", "").startswith("text/event-stream")
        )

    def _find_error_type(self, stated_code: int | None, status_code: int | None) -> None:
        """Set ``error.type``: of the handled exception, else the status code that the service bound or sent."""
        fields, handled_error = self.inference.fields, self._handled_error
        if handled_error is not None and status_code is not None and status_code >= 500:
            message = fields.get("error_message", handled_error)
            self.inference.bind({"error_type": name_error_type(handled_error), "error_message": message})
        else:
            code = status_code if stated_code is None else stated_code
            fields["error_type"] = "no_response" if code is None else str(code)

    @abstractmethod
    def get_request(self) -> Any:
        """Return the protocol's request object: the scope or the environ."""

    @abstractmethod
    def read_request_header(self, name: str) -> str | None:
        """Return the request header *name*, given in lower case; several values are joined by commas."""

    @abstractmethod
    def read_response_headers(self) -> Mapping[str, str]:
        """Return the headers of the response, names in lower case; empty before it started."""

    @abstractmethod
    def find_route_template(self) -> str | None:
        """Return the template of the matched route, never the raw path; None without a match."""


def is_disconnect(error: BaseException) -> bool:
    """Return whether a server that raises *error* for a part of the response has lost its client."""
    return isinstance(error, OSError) or _is_named_disconnect(error)


def _is_named_disconnect(error: BaseException) -> bool:
    """Return whether *error* is Starlette's ClientDisconnect, or waitress's ClientDisconnected."""
    return type(error).__name__.startswith("ClientDisconnect")


def _unwrap(error: BaseException | None) -> BaseException | None:
    """Return *error*, or the OSError, also of the application, that Starlette has replaced by ClientDisconnect."""
    if error is not None and _is_named_disconnect(error) and isinstance(error.__context__, OSError):
        return error.__context__
    return error


def _replace_status_code(inference: Inference, status_code: int | None) -> None:
    """Replace the bound status code by the *status_code* of the response, none if no response began."""
    if status_code is not None:
        inference.overrule("http_response_status_code", status_code, "the response has another")
    else:
        inference.overrule("http_response_status_code", None, "no response began")
        del inference.fields["http_response_status_code"]


def _derive_status(status_code: int | None, *, failed: bool) -> Status:
    if status_code is None:
        return "error"
    if status_code < 400:
        return "error" if failed else "success"
    return classify_status_code(status_code)
