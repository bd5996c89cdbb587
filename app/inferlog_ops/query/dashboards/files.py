"""The dashboard files: one each, named for the id under which Kibana knows it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inferlog_ops.core.assets import asset_dir
from inferlog_ops.core.json_files import read_json
from inferlog_ops.core.naming import lookup
from inferlog_ops.query.dashboards.shape import check_shape

FOLDER = "dashboards"
LANDING_PAGE = "inferlog-overview"

_FILES = "inferlog-*.json"  # beside them stands slo.json


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """
    One dashboard as its file says it.

    Attributes:
        id: The file's name without its ending.
        path: The file.
        body: The body of ``PUT /api/dashboards/<id>``, but for two things that stand in one place only: where Kibana
            takes the text of a query there is its file ("queries/p99_latency.esql"), and where it takes the figure of
            a service level there is its name ("{slo.p99_latency_seconds}"). `render` puts both in.
    """

    id: str
    path: Path
    body: dict[str, Any]

    @property
    def title(self) -> str:
        """As Kibana and the preview page show it."""
        return str(self.body["title"])


def load_all() -> dict[str, Dashboard]:
    """
    Return all dashboards by id; the landing page first, the others in alphabetical order.

    Raises:
        OperatorError: If a file is no dashboard.
    """
    files = sorted(asset_dir(FOLDER).glob(_FILES), key=lambda path: (path.stem != LANDING_PAGE, path.stem))
    return {path.stem: read(path) for path in files}


def find(dashboard_id: str) -> Dashboard:
    """
    Return the dashboard *dashboard_id*.

    Raises:
        OperatorError: If there is none; says which is nearest.
    """
    dashboards = load_all()
    return lookup(
        dashboard_id, dashboards, kind="dashboard", otherwise=f"there are {', '.join(dashboards)}", cutoff=0.4
    )


def read(path: Path) -> Dashboard:
    """
    Read one file.

    Raises:
        OperatorError: If it is no JSON, or something else than a dashboard.
    """
    where = f"{FOLDER}/{path.name}"
    body = read_json(path, where)
    check_shape(body, where)
    return Dashboard(id=path.stem, path=path, body=body)
