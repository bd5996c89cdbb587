"""Routes below ``/api``: dashboards, answers of their panels, values of their controls."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.preview import answers, cluster_status, layout
from inferlog_ops.preview.control_values import find_values
from inferlog_ops.preview.controls import list_controls
from inferlog_ops.preview.params import Id, RangeParams, SearchParams
from inferlog_ops.preview.schemas import (
    COMMON_ERRORS,
    ERRORS,
    ClusterStatus,
    DashboardLayout,
    ListedDashboard,
    PanelAnswers,
    Values,
)
from inferlog_ops.query import library
from inferlog_ops.query.dashboards.panels import list_panels

ResultT = TypeVar("ResultT")

_MAX_CONCURRENT: Final = 4
"""Maximum number of concurrent queries, as Elasticsearch shares its processors with other processes."""


def create_api_router(cluster: Cluster) -> APIRouter:
    """Return the routes that read from *cluster*."""
    router = APIRouter(prefix="/api", responses=COMMON_ERRORS)
    slots = asyncio.Semaphore(_MAX_CONCURRENT)

    async def run_limited(request: Request, work: Callable[[], ResultT]) -> ResultT:
        async with slots:
            # Skip the query if the browser has already moved to another time range.
            if await request.is_disconnected():
                raise HTTPException(499, "the browser has closed the request")
            return await run_in_threadpool(work)

    @router.get("/status", response_model=ClusterStatus)
    def status() -> dict[str, Any]:
        """Return whether Elasticsearch answers and has the streams."""
        return cluster_status.read_status(cluster)

    @router.get("/dashboards", response_model=list[ListedDashboard], responses={502: ERRORS[502]})
    def dashboards() -> list[dict[str, str]]:
        """List the dashboards, the landing page first."""
        return layout.list_dashboards()

    @router.get("/dashboards/{dashboard_id}", responses={200: {"model": DashboardLayout}, **ERRORS})
    def dashboard(dashboard_id: Id) -> dict[str, Any]:
        """Return a dashboard without its figures."""
        return layout.lay_out(dashboard_id, _load_body(dashboard_id), library.load_all(), cluster.namespace)

    @router.get("/dashboards/{dashboard_id}/panels/{panel_id}", responses={200: {"model": PanelAnswers}, **ERRORS})
    async def panel_answers(
        request: Request, dashboard_id: Id, panel_id: Id, params: Annotated[RangeParams, Query()]
    ) -> dict[str, Any]:
        """Run the panel's queries."""
        return await run_limited(request, lambda: _answer_panel(cluster, dashboard_id, panel_id, params))

    @router.get(
        "/dashboards/{dashboard_id}/controls/{control_id}/values",
        responses={200: {"model": Values}, **ERRORS},
    )
    async def control_values(
        request: Request, dashboard_id: Id, control_id: Id, params: Annotated[SearchParams, Query()]
    ) -> dict[str, Any]:
        """Return the options of a control: values of events in the range that match the other controls."""
        return await run_limited(request, lambda: _list_control_values(cluster, dashboard_id, control_id, params))

    return router


def _answer_panel(cluster: Cluster, dashboard_id: str, panel_id: str, params: RangeParams) -> dict[str, Any]:
    body = _load_body(dashboard_id)
    panel = next((each for each in list_panels(body) if each.id == panel_id), None)
    if panel is None:
        raise HTTPException(404, f"{dashboard_id} has no panel {panel_id}")
    scope = answers.PanelScope(start=params.from_, end=params.to, within=params.build_filter(list(list_controls(body))))
    return answers.fetch_answers(cluster, panel, library.load_all(), scope)


def _list_control_values(cluster: Cluster, dashboard_id: str, control_id: str, params: SearchParams) -> dict[str, Any]:
    of_dashboard = list(list_controls(_load_body(dashboard_id)))
    control = next((each for each in of_dashboard if each.id == control_id), None)
    if control is None:
        raise HTTPException(404, f"{dashboard_id} has no control {control_id}")
    by_others = params.build_filter(of_dashboard, but=control.field)
    in_range = {"range": {"@timestamp": {"gte": params.from_.isoformat(), "lt": params.to.isoformat()}}}
    return find_values(cluster, control, [in_range, *([by_others] if by_others else [])], params.search)


def _load_body(dashboard_id: str) -> dict[str, Any]:
    body = layout.load_body(dashboard_id)
    if body is None:
        raise HTTPException(404, f"there is no dashboard {dashboard_id}")
    return body
