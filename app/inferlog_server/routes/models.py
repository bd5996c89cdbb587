"""``GET /v1/models``: what a client may ask for."""

import time
from typing import Any

from fastapi import APIRouter

from inferlog_server.inference.errors import UnknownModelError
from inferlog_server.inference.versions import Catalog
from inferlog_server.routes.schemas import Model, ModelList, refusals


def models_router(catalog: Catalog) -> APIRouter:
    """Return the routes that list *catalog*."""
    router = APIRouter()
    models = {name: _model(name, created=int(time.time())) for name in catalog.names}

    @router.get("/v1/models", response_model=ModelList)
    async def list_models() -> dict[str, Any]:
        """List what a client may ask for."""
        return {"object": "list", "data": list(models.values())}

    @router.get("/v1/models/{model}", response_model=Model, responses=refusals(_404="No such model"))
    async def retrieve_model(model: str) -> dict[str, Any]:
        """Give one of them."""
        try:
            return models[model]
        except KeyError:
            raise UnknownModelError(catalog.names) from None

    return router


def _model(name: str, *, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "inferlog"}
