"""The addresses under ``/api``: dashboards, the figures of their panels, the values of their controls."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.preview import answers, catalogue, readiness
from inferlog_ops.preview.control_values import offered_values
from inferlog_ops.preview.controls import controls
from inferlog_ops.preview.params import Asking, Id, Searching
from inferlog_ops.preview.schemas import (
    NOT_THERE,
    OF_EVERY_ANSWER,
    Dashboard,
    ListedDashboard,
    PanelAnswers,
    Status,
    Values,
)
from inferlog_ops.query import library
from inferlog_ops.query.dashboards.panels import panels

Result = TypeVar("Result")

_AT_ONCE: Final = 4
"""Questions that Elasticsearch is asked at the same time; it shares its processors with whatever else runs here."""


def api_router(cluster: Cluster) -> APIRouter:
    """Return the routes that answer about *cluster*."""
    router = APIRouter(prefix="/api", responses=OF_EVERY_ANSWER)
    places = asyncio.Semaphore(_AT_ONCE)

    async def in_turn(request: Request, work: Callable[[], Result]) -> Result:
        async with places:
            # Whoever has gone on to another range does not keep Elasticsearch from answering about that one.
            if await request.is_disconnected():
                raise HTTPException(499, "nobody waits for the answer any more")
            return await run_in_threadpool(work)

    @router.get("/status", response_model=Status)
    def status() -> dict[str, Any]:
        """Say whether Elasticsearch answers and has the streams."""
        return readiness.status(cluster)

    @router.get("/dashboards", response_model=list[ListedDashboard], responses={502: NOT_THERE[502]})
    def dashboards() -> list[dict[str, str]]:
        """List the dashboards, the landing page first."""
        return catalogue.listed()

    @router.get("/dashboards/{dashboard_id}", responses={200: {"model": Dashboard}, **NOT_THERE})
    def dashboard(dashboard_id: Id) -> dict[str, Any]:
        """Give all of a dashboard but its figures."""
        return catalogue.laid_out(dashboard_id, _body(dashboard_id), library.load_all(), cluster.namespace)

    @router.get("/dashboards/{dashboard_id}/panels/{panel_id}", responses={200: {"model": PanelAnswers}, **NOT_THERE})
    async def panel_answers(
        request: Request, dashboard_id: Id, panel_id: Id, asking: Annotated[Asking, Query()]
    ) -> dict[str, Any]:
        """Ask the panel's questions."""
        return await in_turn(request, lambda: _panel_answers(cluster, dashboard_id, panel_id, asking))

    @router.get(
        "/dashboards/{dashboard_id}/controls/{control_id}/values",
        responses={200: {"model": Values}, **NOT_THERE},
    )
    async def control_values(
        request: Request, dashboard_id: Id, control_id: Id, asking: Annotated[Searching, Query()]
    ) -> dict[str, Any]:
        """Give the values that the control offers: those that events have in the range, within the other controls."""
        return await in_turn(request, lambda: _control_values(cluster, dashboard_id, control_id, asking))

    return router


def _panel_answers(cluster: Cluster, dashboard_id: str, panel_id: str, asking: Asking) -> dict[str, Any]:
    body = _body(dashboard_id)
    panel = next((each for each in panels(body) if each.id == panel_id), None)
    if panel is None:
        raise HTTPException(404, f"{dashboard_id} has no panel {panel_id}")
    asked = answers.Asked(start=asking.from_, end=asking.to, within=asking.within(list(controls(body))))
    return answers.answer(cluster, panel, library.load_all(), asked)


def _control_values(cluster: Cluster, dashboard_id: str, control_id: str, asking: Searching) -> dict[str, Any]:
    of_dashboard = list(controls(_body(dashboard_id)))
    control = next((each for each in of_dashboard if each.id == control_id), None)
    if control is None:
        raise HTTPException(404, f"{dashboard_id} has no control {control_id}")
    by_others = asking.within(of_dashboard, but=control.field)
    in_range = {"range": {"@timestamp": {"gte": asking.from_.isoformat(), "lt": asking.to.isoformat()}}}
    return offered_values(cluster, control, [in_range, *([by_others] if by_others else [])], asking.search)


def _body(dashboard_id: str) -> dict[str, Any]:
    body = catalogue.body(dashboard_id)
    if body is None:
        raise HTTPException(404, f"there is no dashboard {dashboard_id}")
    return body
