"""The dashboards: a file for each, named after its id in Kibana, and the query library, made from the query files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.errors import lookup
from inferlog_ops.core.files import read_json
from inferlog_ops.query import library
from inferlog_ops.query.dashboards import query_library
from inferlog_ops.query.dashboards.shape import check_shape

FOLDER = "dashboards"
LANDING_PAGE = "inferlog-overview"

_FILES = "inferlog-*.json"  # not slo.json, which is in the same folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """
    One dashboard.

    Attributes:
        id: The file's name without its ending.
        path: The file. Of the query library: the folder of the query files.
        body: The content of the file. Its form is that of Kibana 9.5's dashboards API, the only documented one, except
            that a query is the name of its file ("queries/p99_latency.esql") and a service level its name
            ("{slo.p99_latency_seconds}"). The preview page draws it; provisioning makes a saved object of it.
    """

    id: str
    path: Path
    body: dict[str, Any]

    @property
    def title(self) -> str:
        """Title in Kibana and on the preview page."""
        return str(self.body["title"])


def load_all() -> dict[str, Dashboard]:
    """
    Return all dashboards by id: the landing page first, the others in alphabetical order, the query library last.

    Raises:
        OperatorError: If a file is not a valid dashboard, or a query file is not valid.
    """
    files = sorted(find_asset_dir(FOLDER).glob(_FILES), key=lambda path: (path.stem != LANDING_PAGE, path.stem))
    dashboards = {path.stem: read(path) for path in files}
    body = query_library.build_query_library(library.load_all(), {each.id: each.body for each in dashboards.values()})
    made = Dashboard(id=query_library.ID, path=find_asset_dir(library.FOLDER), body=body)
    return dashboards | {made.id: made}


def find(dashboard_id: str) -> Dashboard:
    """
    Return the dashboard *dashboard_id*.

    Raises:
        OperatorError: If it does not exist, with the nearest id.
    """
    dashboards = load_all()
    return lookup(
        dashboard_id, dashboards, kind="dashboard", otherwise=f"known dashboards: {', '.join(dashboards)}", cutoff=0.4
    )


def read(path: Path) -> Dashboard:
    """
    Read one file.

    Raises:
        OperatorError: If it is not valid JSON, or not a dashboard.
    """
    where = f"{FOLDER}/{path.name}"
    body = read_json(path, where)
    check_shape(body, where)
    return Dashboard(id=path.stem, path=path, body=body)
