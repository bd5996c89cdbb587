"""
One FastAPI service with this library, and with the packages that people combine for the same result.

Each is configured as its documentation recommends and records the same values of a request as far as it can: the
caller's id, route, status, latency, model version and tokens. All write to files in a given directory.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import structlog
from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from fastapi import FastAPI, Request, Response
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_fastapi_instrumentator import Instrumentator
from pydantic import BaseModel

import inferlog
from benchmarks.other_loggers import build_structlog_logger

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BARE, INFERLOG = "FastAPI alone", "inferlog"
CLOSEST = "asgi-correlation-id, structlog (raw ASGI)"
ROUTE = "/v1/{kind}/completions"
BindValues = Callable[..., None]
"""Adds values of the handler to the record of the current request."""


class ChatRequest(BaseModel):
    """Body of a request; *values* are recorded too."""

    model: str
    messages: list[dict[str, str]]
    stream: bool = False
    values: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class ObservedApp:
    """
    A service and its instrumentation.

    Attributes:
        app: The ASGI application.
        read_records: Returns the records of its requests.
        flush: Writes buffered records.
    """

    app: "ASGIApp"
    read_records: Callable[[], bytes]
    flush: Callable[[], object] = lambda: None


def build_service(bind_values: BindValues) -> FastAPI:
    service = FastAPI()

    @service.post(ROUTE)
    async def complete(kind: str, request: ChatRequest) -> dict[str, Any]:
        values = {"model_name": request.model, "model_version": "v1", "input_tokens": 12, "output_tokens": 40}
        bind_values(**{**values, **request.values})
        return {"kind": kind, "model": request.model, "choices": [{"message": {"content": "Once upon a time"}}]}

    return service


def read_files(directory: Path, names: str = "*") -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.glob(names)))


def build_bare(_directory: Path) -> ObservedApp:
    return ObservedApp(build_service(lambda **_: None), bytes)


def build_inferlog(directory: Path) -> ObservedApp:
    inferlog.configure(service_name="benchmark", log_dir=directory, console="never", capture_stdlib=False)
    service = build_service(inferlog.bind_inference)
    service.add_middleware(inferlog.InferenceMiddleware)
    return ObservedApp(service, partial(read_files, directory, "events-*"))


def bind_to_structlog(**values: Any) -> None:
    structlog.contextvars.bind_contextvars(**values)


def build_structlog_base_http(directory: Path) -> ObservedApp:
    """Build the access log of most tutorials: a function under Starlette's BaseHTTPMiddleware."""
    service, log = build_service(bind_to_structlog), build_structlog_logger(directory / "access.jsonl")

    @service.middleware("http")
    async def log_access(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=correlation_id.get())
        began, status = time.perf_counter(), 500
        try:
            response = await call_next(request)
            status = response.status_code
        finally:
            log.info(
                "request",
                method=request.method,
                path=request.url.path,
                status=status,
                latency_seconds=time.perf_counter() - began,
            )
        return response

    service.add_middleware(CorrelationIdMiddleware)
    return ObservedApp(service, partial(read_files, directory))


class AccessLog:
    """The same access log without BaseHTTPMiddleware; it also has the route and ends with the last byte."""

    def __init__(self, app: "ASGIApp", log: Any) -> None:
        self.app = app
        self.log = log

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=correlation_id.get())
        began, status = time.perf_counter(), 500

        async def send_noting_status(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noting_status)
        finally:
            self.log.info(
                "request",
                method=scope["method"],
                route=getattr(scope.get("route"), "path", None),
                status=status,
                latency_seconds=time.perf_counter() - began,
            )


def build_structlog_raw(directory: Path) -> ObservedApp:
    service = build_service(bind_to_structlog)
    service.add_middleware(AccessLog, log=build_structlog_logger(directory / "access.jsonl"))
    service.add_middleware(CorrelationIdMiddleware)
    return ObservedApp(service, partial(read_files, directory))


def bind_to_span(**values: Any) -> None:
    trace.get_current_span().set_attributes(values)


def build_opentelemetry(
    directory: Path,
    make_processor: Callable[[ConsoleSpanExporter], SpanProcessor],
    exclude_spans: list[Literal["receive", "send"]] | None = None,
) -> ObservedApp:
    """Build a service that writes a span of each request, and by default one of each ASGI message, to a file."""
    service = build_service(bind_to_span)
    exporter = ConsoleSpanExporter(
        out=(directory / "spans.jsonl").open("a"), formatter=lambda span: span.to_json(indent=None) + "\n"
    )
    provider = TracerProvider(resource=Resource.create({"service.name": "benchmark"}))
    provider.add_span_processor(make_processor(exporter))
    FastAPIInstrumentor.instrument_app(service, tracer_provider=provider, exclude_spans=exclude_spans)
    return ObservedApp(service, partial(read_files, directory), provider.force_flush)


def build_prometheus(_directory: Path) -> ObservedApp:
    """Build counters and histograms; they have no values of a single request."""
    service, registry = build_service(lambda **_: None), CollectorRegistry()
    Instrumentator(registry=registry).instrument(service).expose(service)
    return ObservedApp(service, partial(generate_latest, registry))


APPS: dict[str, Callable[[Path], ObservedApp]] = {
    BARE: build_bare,
    INFERLOG: build_inferlog,
    CLOSEST: build_structlog_raw,
    "asgi-correlation-id, structlog (BaseHTTPMiddleware)": build_structlog_base_http,
    "OpenTelemetry, each span to a file": partial(build_opentelemetry, make_processor=SimpleSpanProcessor),
    "OpenTelemetry, one span a request, in batches": partial(
        build_opentelemetry, make_processor=BatchSpanProcessor, exclude_spans=["receive", "send"]
    ),
    "prometheus-fastapi-instrumentator": build_prometheus,
}
"""Builds each service, with its files in a directory of its own."""
