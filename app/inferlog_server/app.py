"""The FastAPI application: backend, routes and logging wired together."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

import inferlog
from inferlog_server.errors import StartError
from inferlog_server.inference.generation import Backend
from inferlog_server.inference.simulated import SimulatedBackend
from inferlog_server.inference.versions import Catalog
from inferlog_server.inference.weights import find_weights
from inferlog_server.routes.chat import Limits, create_chat_router
from inferlog_server.routes.errors import install_error_handlers
from inferlog_server.routes.info import create_health_router, create_models_router
from inferlog_server.routes.recording import LoggingRecorder, NullRecorder
from inferlog_server.routes.schemas import extend_openapi
from inferlog_server.settings import ServerSettings

# Health checks, documentation and the list of models are not inferences.
_NO_EVENT = ("/healthz", "/readyz", "/docs", "/redoc", "/openapi.json", "/v1/models")


def create_app(settings: ServerSettings, *, on_start: Callable[[], None] | None = None) -> FastAPI:
    """
    Create the backend, which loads its model, and the application around it.

    Call it in the main thread of the serving process. In another thread, llama.cpp's signal handlers replace those of
    the process.

    Args:
        settings: Settings of the service.
        on_start: Called when the service starts to accept requests.

    Raises:
        StartError: If the model cannot be loaded, or the logging settings are not valid.
    """
    if settings.logging:
        _configure_logging(settings)
    # Without logging the service must not use the library: its first use would configure it from the environment.
    log = inferlog.get_logger(__name__).info if settings.logging else _discard
    recorder = LoggingRecorder() if settings.logging else NullRecorder()
    started = time.perf_counter()
    backend = _create_backend(settings)
    if settings.logging:
        inferlog.add_gauge("queue_requests", lambda: backend.waiting_requests)
    log("backend.ready", backend=settings.backend, seconds=round(time.perf_counter() - started, 3))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log("server.started")
        if on_start is not None:
            on_start()
        yield
        await backend.close()
        log("server.stopped")
        if settings.logging:
            # In a thread: the last heartbeat measures the delay of the event loop, so the loop must be free to run.
            await asyncio.to_thread(inferlog.shutdown)

    catalog = Catalog(settings.model_name, settings.versions)
    limits = Limits(
        max_body_bytes=settings.max_body_bytes,
        body_timeout_seconds=settings.body_timeout_seconds,
        max_tokens=settings.max_tokens_limit,
        deadline_seconds=settings.deadline_seconds,
    )
    # A redirect would point to the host name in the request, which the client controls.
    app = FastAPI(title="inferlog_server", version=inferlog.__version__, lifespan=lifespan, redirect_slashes=False)
    app.include_router(create_chat_router(backend, catalog, limits, recorder))
    app.include_router(create_models_router(catalog))
    app.include_router(create_health_router(backend))
    install_error_handlers(app, recorder)
    extend_openapi(app, max_tokens_limit=limits.max_tokens)
    if settings.logging:
        no_event = {*_NO_EVENT, *(f"/v1/models/{name}" for name in catalog.names)}
        app.add_middleware(inferlog.InferenceMiddleware, exclude=no_event)
    return app


def _discard(_message: str, **_values: Any) -> None:
    pass


def _configure_logging(settings: ServerSettings) -> None:
    try:
        inferlog.configure(client_id_header=settings.client_id_header)
    except inferlog.SettingsError as error:
        raise StartError(str(error)) from None


def _create_backend(settings: ServerSettings) -> Backend:
    match settings.backend:
        case "llama":
            return _create_llama_backend(settings)
        case "simulated":
            return SimulatedBackend(
                seed=settings.simulated_seed,
                context_tokens=settings.context_tokens,
                slots=settings.simulated_parallel_requests,
                waiting_limit=settings.queue_limit_requests,
            )
        case "upstream":
            # Imported late: the other backends do not need an HTTP client.
            from inferlog_server.upstream_client import create_upstream_backend  # noqa: PLC0415

            return create_upstream_backend(settings)


def _create_llama_backend(settings: ServerSettings) -> Backend:
    # Imported late: the other backends do not need its 100 MB of machine code.
    try:
        from inferlog_server.inference.llama import LlamaBackend  # noqa: PLC0415
    except ImportError as error:
        raise StartError(
            f"llama.cpp cannot be loaded ({error}): if libgomp.so.1 is missing, run: apt install libgomp1; "
            "or choose the backend simulated"
        ) from error

    return LlamaBackend.load(
        {version.name: find_weights(version.weights) for version in settings.versions},
        threads=settings.llama_threads or max(1, len(os.sched_getaffinity(0)) - 1),
        context_tokens=settings.context_tokens,
        slots=settings.llama_parallel_requests,
        waiting_limit=settings.queue_limit_requests,
    )
