"""Answers of Elasticsearch to the queries of a panel."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.preview.aggregations import find_aggregations, run_aggregations
from inferlog_ops.query.dashboards.panels import Panel, find_query
from inferlog_ops.query.library import Query, restrict_columns
from inferlog_ops.query.run import QueryAnswer, run_query

TIMEOUT_SECONDS = 30.0
"""Timeout of a panel's query; a slower panel shows an error."""

_OVER_TIME = "{}_over_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelScope:
    """
    Range and filter of a panel's queries.

    Attributes:
        start: Start of the range.
        end: End of the range, exclusive.
        within: Query DSL filter of the dashboard's controls; None for all events.
    """

    start: datetime
    end: datetime
    within: dict[str, Any] | None


def fetch_answers(cluster: Cluster, panel: Panel, queries: Mapping[str, Query], scope: PanelScope) -> dict[str, Any]:
    """
    Run the panel's queries, one per layer or tab, and return their answers in that order.

    ``trend`` is the answer for the background of a metric, if the panel has one: the query of the same name over time.

    Raises:
        OperatorError: If the cluster rejects a query, or a query does not exist.
    """
    answers = [_as_json(_fetch_answer(cluster, part, queries, scope)) for part in panel.list_parts()]
    trend = find_trend_query(panel, queries)
    over_time = None if trend is None else run_page_query(cluster, trend, _apply_controls(scope, panel.config))
    return {"answers": answers, "trend": None if over_time is None else _as_json(over_time)}


def _fetch_answer(
    cluster: Cluster, part: dict[str, Any], queries: Mapping[str, Query], scope: PanelScope
) -> QueryAnswer:
    panel_query = find_query(part)
    if panel_query is None:
        raise OperatorError(
            f"data sources of type {part['data_source'].get('type')} are not supported; "
            "expected a query in dashboards/queries"
        )
    if panel_query.name not in queries:
        raise OperatorError(f"dashboards/queries/{panel_query.name}.esql does not exist")
    query = restrict_columns(queries[panel_query.name], panel_query.columns)
    return run_page_query(cluster, query, _apply_controls(scope, part))


def _apply_controls(scope: PanelScope, part: Mapping[str, Any]) -> PanelScope:
    """Return *scope* with the filter of the controls, unless *part* ignores it."""
    return replace(scope, within=None) if part.get("ignore_global_filters") else scope


def run_page_query(cluster: Cluster, query: Query, scope: PanelScope) -> QueryAnswer:
    """
    Run *query* by aggregations, which are faster, or else its ES|QL.

    Raises:
        OperatorError: If the cluster rejects it.
    """
    aggregated = find_aggregations(query)
    if aggregated is not None:
        return run_aggregations(
            cluster, aggregated, scope.start, scope.end, within=scope.within, timeout_seconds=TIMEOUT_SECONDS
        )
    return run_query(
        cluster,
        query,
        scope.start,
        scope.end,
        within=scope.within,
        top_versions=query.top_versions,
        timeout_seconds=TIMEOUT_SECONDS,
    )


def find_trend_query(panel: Panel, queries: Mapping[str, Query]) -> Query | None:
    """Return the query for the background of a metric, with the columns of its tiles; None without a background."""
    has_trend = any(
        metric.get("background_chart", {}).get("type") == "trend" for metric in panel.config.get("metrics", [])
    )
    shown = panel.list_queries()
    query = queries.get(_OVER_TIME.format(shown[0].name)) if has_trend and shown else None
    if query is None:
        return None
    return restrict_columns(query, query.date_columns | set(shown[0].columns).intersection(query.columns))


def _as_json(found: QueryAnswer) -> dict[str, Any]:
    """Return *found* as JSON values, rows as lists: repeated column names would dominate the response."""
    return {
        "columns": [{"name": column.name, "type": column.type} for column in found.columns],
        "rows": [list(row.values()) for row in found.rows],
        "notes": [note.as_json() for note in found.notes],
    }
