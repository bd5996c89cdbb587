"""What Elasticsearch says to a panel's questions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.dashboards.panels import Panel
from inferlog_ops.query.dashboards.render import query_named
from inferlog_ops.query.library import Query
from inferlog_ops.query.run import Answer, ask

TIMEOUT_SECONDS = 30.0
"""A panel that takes longer says so; somebody is looking at it."""

_OVER_TIME = "{}_over_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    What a panel is asked about.

    Attributes:
        start: First moment.
        end: First moment after.
        within: Filter in query DSL of the dashboard's controls; None = everything.
    """

    start: datetime
    end: datetime
    within: dict[str, Any] | None


def answer(cluster: Cluster, panel: Panel, queries: Mapping[str, Query], asked: Asked) -> dict[str, Any]:
    """
    Ask the panel's queries, one for each layer or tab, and return their answers in that order.

    ``trend`` is the answer from which a metric's background is drawn, if the panel wants one: of the query of the same
    name over time.

    Raises:
        OperatorError: If the cluster refuses, or a query is not there.
    """
    answers = [_as_json(_ask(cluster, holder, queries, asked)) for holder in _holders(panel.config)]
    trend = _trend_query(panel, queries)
    return {
        "answers": answers,
        "trend": _as_json(_ask_query(cluster, trend, panel.config, asked)) if trend is not None else None,
    }


def _holders(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what has a query: the layers, the tabs, or the chart itself."""
    holders = config.get("layers") or config.get("tabs") or [config]
    return [holder for holder in holders if "data_source" in holder]


def _ask(cluster: Cluster, holder: dict[str, Any], queries: Mapping[str, Query], asked: Asked) -> Answer:
    source = holder["data_source"]
    name = query_named(str(source.get("query", "")))
    if name is None:
        raise OperatorError(
            f"this page asks the questions in dashboards/queries only, not a data source of type {source.get('type')}"
        )
    if name not in queries:
        raise OperatorError(f"dashboards/queries/{name}.esql is not there")
    return _ask_query(cluster, queries[name], holder, asked)


def _ask_query(cluster: Cluster, query: Query, holder: dict[str, Any], asked: Asked) -> Answer:
    within = None if holder.get("ignore_global_filters") else asked.within
    return ask(
        cluster,
        query,
        asked.start,
        asked.end,
        within=within,
        top_versions=query.top_versions,
        timeout_seconds=TIMEOUT_SECONDS,
    )


def _trend_query(panel: Panel, queries: Mapping[str, Query]) -> Query | None:
    wanted = any(
        metric.get("background_chart", {}).get("type") == "trend" for metric in panel.config.get("metrics", [])
    )
    return queries.get(_OVER_TIME.format(panel.queries[0])) if wanted and panel.queries else None


def _as_json(found: Answer) -> dict[str, Any]:
    """Rows as lists: the names of the columns would be most of what is sent."""
    return {
        "columns": [{"name": column.name, "type": column.type} for column in found.columns],
        "rows": [list(row.values()) for row in found.rows],
        "notes": [note.as_json() for note in found.notes],
    }
