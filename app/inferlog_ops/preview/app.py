"""The preview page's web application, put together."""

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse
from starlette.responses import Response

from inferlog import __version__
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.preview.api import api_router
from inferlog_ops.preview.host_check import Guard
from inferlog_ops.preview.static_files import PLOTLY, STATIC, Revalidated

_OF_THE_CALLER = 2  # the exit code of an OperatorError for what was asked wrongly


def create_app(cluster: Cluster) -> FastAPI:
    """Return the application that draws the dashboards from *cluster*."""
    # No pages of documentation: theirs would load scripts from the network.
    app = FastAPI(title="inferlog preview", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
    plotly = Revalidated(directory=PLOTLY.parent)
    app.include_router(api_router(cluster))
    app.mount("/static", Revalidated(directory=STATIC))

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/vendor/plotly.min.js", include_in_schema=False)
    async def plotly_script(request: Request) -> Response:
        return await plotly.get_response(PLOTLY.name, request.scope)

    @app.exception_handler(OperatorError)
    def explained(_: Request, error: OperatorError) -> JSONResponse:
        """Say it as every other error is said, so that the page shows it in its place."""
        return JSONResponse({"detail": str(error)}, status_code=422 if error.exit_code == _OF_THE_CALLER else 502)

    app.add_middleware(Guard)
    return app
