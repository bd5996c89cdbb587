"""The service, put together."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

import inferlog
from inferlog_server.errors import StartError
from inferlog_server.inference.backend import Backend
from inferlog_server.inference.simulated import SimulatedBackend
from inferlog_server.inference.versions import Catalog
from inferlog_server.inference.weights import weights_file
from inferlog_server.routes.chat import Limits, chat_router
from inferlog_server.routes.failures import answer_failures
from inferlog_server.routes.health import health_router
from inferlog_server.routes.models import models_router
from inferlog_server.routes.recording import recorded, unrecorded
from inferlog_server.routes.schemas import describe
from inferlog_server.settings import Settings

# Asking how the service is, or what it has, is no inference.
_NO_EVENT = ("/healthz", "/readyz", "/docs", "/redoc", "/openapi.json", "/v1/models")


def create_app(settings: Settings, *, on_start: Callable[[], None] | None = None) -> FastAPI:
    """
    Load the model, or get ready to ask another service, and wire the service; the only place that knows all parts.

    Call it in the main thread of the process that is to serve, or llama.cpp's signal handlers stay in
    place of the process's own.

    Args:
        settings: Read by the caller.
        on_start: Called when the service begins to answer.

    Raises:
        StartError: If the model cannot be loaded, or the log not be written.
    """
    _configure_logging(settings)
    log = inferlog.get_logger(__name__)
    started = time.perf_counter()
    backend = _backend(settings)
    inferlog.add_gauge("queue_requests", lambda: backend.waiting_requests)
    log.info("backend.ready", backend=settings.backend, seconds=round(time.perf_counter() - started, 3))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.info("server.started")
        if on_start is not None:
            on_start()
        yield
        await backend.close()
        log.info("server.stopped")
        # Its last heartbeat measures how late the event loop is, so that the loop must be free to answer.
        await asyncio.to_thread(inferlog.shutdown)

    catalog = Catalog(settings.model_name, settings.versions)
    limits = Limits(
        max_body_bytes=settings.max_body_bytes,
        body_timeout_seconds=settings.body_timeout_seconds,
        max_tokens=settings.max_tokens_limit,
        deadline_seconds=settings.deadline_seconds,
    )
    # A redirection would lead to whatever name the request has given the service.
    app = FastAPI(title="inferlog_server", version=inferlog.__version__, lifespan=lifespan, redirect_slashes=False)
    app.include_router(chat_router(backend, catalog, limits, recorded if settings.logging else unrecorded))
    app.include_router(models_router(catalog))
    app.include_router(health_router(backend))
    answer_failures(app)
    describe(app, max_tokens_limit=limits.max_tokens)
    if settings.logging:
        no_event = {*_NO_EVENT, *(f"/v1/models/{name}" for name in catalog.names)}
        app.add_middleware(inferlog.InferenceMiddleware, exclude=no_event)
    return app


def _configure_logging(settings: Settings) -> None:
    try:
        if settings.logging:
            inferlog.configure(client_id_header=settings.client_id_header)
        else:
            inferlog.configure(sinks="none", capture_stdlib=False, capture_content=False)
    except inferlog.SettingsError as error:
        raise StartError(str(error)) from None


def _backend(settings: Settings) -> Backend:
    match settings.backend:
        case "llama":
            return _llama_backend(settings)
        case "simulated":
            return SimulatedBackend(
                seed=settings.simulated_seed,
                context_tokens=settings.context_tokens,
                places=settings.simulated_parallel_requests,
                waiting_limit=settings.queue_limit_requests,
            )
        case "upstream":
            # Imported where it is wanted: an HTTP client that the others do without.
            from inferlog_server.upstream import upstream_backend  # noqa: PLC0415

            return upstream_backend(settings)


def _llama_backend(settings: Settings) -> Backend:
    # Imported where it is wanted: 100 MB of machine code that the simulated backend does without.
    try:
        from inferlog_server.inference.llama import LlamaBackend  # noqa: PLC0415
    except ImportError as error:
        raise StartError(
            f"llama.cpp cannot be loaded ({error}): where libgomp.so.1 is missing, apt install libgomp1 brings it; "
            "or choose the backend simulated"
        ) from error

    return LlamaBackend.load(
        {version.name: weights_file(version.weights) for version in settings.versions},
        threads=settings.llama_threads or max(1, len(os.sched_getaffinity(0)) - 1),
        context_tokens=settings.context_tokens,
        places=settings.llama_parallel_requests,
        waiting_limit=settings.queue_limit_requests,
    )
