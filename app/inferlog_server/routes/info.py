"""Routes without an event: ``/healthz``, ``/readyz`` and ``/v1/models``."""

import time
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from inferlog_server.inference.errors import UnknownModelError
from inferlog_server.inference.generation import Backend
from inferlog_server.inference.versions import Catalog
from inferlog_server.routes.schemas import Model, ModelList, ServiceState, describe_errors


def create_health_router(backend: Backend) -> APIRouter:
    """Return the routes for liveness and for the readiness of *backend*."""
    router = APIRouter()

    @router.get("/healthz", response_model=ServiceState)
    async def healthz() -> dict[str, str]:
        """Report that the process is alive."""
        return {"status": "ok"}

    @router.get(
        "/readyz", response_model=ServiceState, responses={503: {"model": ServiceState, "description": "Not yet"}}
    )
    async def readyz() -> JSONResponse:
        """Report whether the service accepts requests now."""
        if backend.ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "model not loaded"}, status_code=503)

    return router


def create_models_router(catalog: Catalog) -> APIRouter:
    """Return the routes that list the models of *catalog*."""
    router = APIRouter()
    models = {name: _describe_model(name, created=int(time.time())) for name in catalog.names}

    @router.get("/v1/models", response_model=ModelList)
    async def list_models() -> dict[str, Any]:
        """List the model and its versions."""
        return {"object": "list", "data": list(models.values())}

    @router.get("/v1/models/{model}", response_model=Model, responses=describe_errors(_404="No such model"))
    async def retrieve_model(model: str) -> dict[str, Any]:
        """Return one model, or one version of it."""
        try:
            return models[model]
        except KeyError:
            raise UnknownModelError(catalog.names) from None

    return router


def _describe_model(name: str, *, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "inferlog"}
