"""``/healthz``: the process lives. ``/readyz``: it would answer a request now."""

from fastapi import APIRouter
from starlette.responses import JSONResponse

from inferlog_server.inference.backend import Backend
from inferlog_server.routes.schemas import State


def health_router(backend: Backend) -> APIRouter:
    """Return the routes that tell the state of *backend*."""
    router = APIRouter()

    @router.get("/healthz", response_model=State)
    async def healthz() -> dict[str, str]:
        """Say that the process lives."""
        return {"status": "ok"}

    @router.get("/readyz", response_model=State, responses={503: {"model": State, "description": "Not yet"}})
    async def readyz() -> JSONResponse:
        """Say whether a request would be answered now."""
        if backend.ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "model not loaded"}, status_code=503)

    return router
