"""Web application of the preview page: API routes, static files and plotly's script."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from inferlog import __version__
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.preview.api import create_api_router
from inferlog_ops.preview.host_check import RequestGuard

STATIC: Final = Path(__file__).parent / "static"
PLOTLY: Final = Path(str(files("plotly") / "package_data" / "plotly.min.js"))


class RevalidatedStaticFiles(StaticFiles):
    """
    Static files that the browser caches and revalidates on every request.

    After an update of inferlog, no page loads an outdated script; a 304 on localhost is cheap.
    """

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, or 304."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


_WRONG_USAGE = 2  # exit code of an OperatorError for wrong usage


def create_app(cluster: Cluster) -> FastAPI:
    """Return the application that draws the dashboards from *cluster*."""
    # No documentation pages: they would load scripts from the network.
    app = FastAPI(title="inferlog preview", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
    plotly = RevalidatedStaticFiles(directory=PLOTLY.parent)
    app.include_router(create_api_router(cluster))
    app.mount("/static", RevalidatedStaticFiles(directory=STATIC))

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/vendor/plotly.min.js", include_in_schema=False)
    async def plotly_script(request: Request) -> Response:
        return await plotly.get_response(PLOTLY.name, request.scope)

    @app.exception_handler(OperatorError)
    def respond_with_error(_: Request, error: OperatorError) -> JSONResponse:
        """Return the error in the same form as every other error, so that the page shows it in place."""
        return JSONResponse({"detail": str(error)}, status_code=422 if error.exit_code == _WRONG_USAGE else 502)

    app.add_middleware(RequestGuard)
    return app
