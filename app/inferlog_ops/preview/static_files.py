"""The page's own files, and plotly's JavaScript from its wheel."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC: Final = Path(__file__).parent / "static"
PLOTLY: Final = Path(str(files("plotly") / "package_data" / "plotly.min.js"))


class Revalidated(StaticFiles):
    """
    Files that a browser keeps, asking each time whether they are still the same.

    After an update of inferlog nobody sees yesterday's script with today's page; 304 costs next to nothing here.
    """

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with the file, or 304."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
