"""``/healthz``: the process lives. ``/readyz``: it would answer a request now."""

from fastapi import APIRouter
from starlette.responses import JSONResponse

from inferlog_server.inference.backend import Backend


def health_router(backend: Backend) -> APIRouter:
    """Return the routes that tell the state of *backend*."""
    router = APIRouter()

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        if backend.ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "model not loaded"}, status_code=503)

    return router
