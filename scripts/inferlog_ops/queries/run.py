"""Asks a cluster one of the queries for a range of time."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import elasticsearch

from inferlog_ops.cluster import Cluster, explained, reason
from inferlog_ops.errors import OperatorError
from inferlog_ops.queries.library import Query, text_for
from inferlog_ops.queries.timerange import iso

NO_MODEL_VERSION = "(none)"
"""The row of the events that name no model version."""

_TIMEOUT_SECONDS = 120.0
_UNPROVISIONED = re.compile("Unknown (index|column)")
_TOO_LARGE = "circuit_breaking_exception"
_FIRST_TIME, _LAST_TIME = datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of an answer: its name and its ES|QL type, such as ``long``, ``double`` or ``date``."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    What a cluster answered.

    Attributes:
        columns: In the order of the query; also there when no row is.
        rows: One mapping a row, column name to value; times are ISO 8601 in UTC.
    """

    columns: list[Column]
    rows: list[dict[str, Any]]


def run(
    cluster: Cluster,
    query: Query,
    start: datetime,
    end: datetime,
    model_version: str | None = None,
    *,
    within: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return the rows that `ask` is answered with."""
    return ask(cluster, query, start, end, model_version, within=within).rows


def ask(
    cluster: Cluster,
    query: Query,
    start: datetime,
    end: datetime,
    model_version: str | None = None,
    *,
    within: dict[str, Any] | None = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> Answer:
    """
    Ask *query* about the events with *start* <= ``@timestamp`` < *end*.

    Args:
        cluster: Whom to ask; its namespace takes the place of the ``*`` in the query.
        query: The question.
        start: First moment of the range; with a time zone.
        end: First moment after the range; with a time zone.
        model_version: Only events of this version; ``(none)`` for those that name none.
        within: Only events that this filter in query DSL lets through.
        timeout_seconds: How long the cluster may take.

    Raises:
        OperatorError: If the range is empty, the query cannot be split by version, or the cluster refuses.
    """
    check_range(start, end)
    if model_version is not None and not query.takes_model_version:
        raise OperatorError(
            f"{query.name} cannot be asked about one model version; ask it without --model-version",
            exit_code=2,
        )
    text = text_for(query, cluster.namespace)
    with (
        cluster.client(request_timeout_seconds=timeout_seconds) as client,
        explained(cluster, f"asking {query.name}"),
    ):
        try:
            answer = client.esql.query(
                query=text,
                params=[{"_tstart": iso(start)}, {"_tend": iso(end)}],
                # Beside the query, as Kibana's controls put it there: never pasted into its text.
                filter=_both(None if model_version is None else version_filter(model_version), within),
                # A figure of some of the shards is a wrong figure; 9.x would give it without a word.
                allow_partial_results=False,
            )
        except elasticsearch.BadRequestError as error:
            if _UNPROVISIONED.search(reason(error)):
                raise OperatorError(
                    f"{cluster.shown_url} lacks the streams or fields that {query.name} asks about; "
                    f"make them with: inferlog provision --namespace {cluster.namespace}"
                ) from error
            raise
        except elasticsearch.ApiError as error:
            if (why := reason(error)).startswith(_TOO_LARGE):
                raise OperatorError(
                    f"{query.name} about {iso(start)} to {iso(end)} takes more memory than {cluster.shown_url} gives "
                    f"one question; ask about a shorter range, or give Elasticsearch a larger heap ({why})"
                ) from error
            raise
    columns = [Column(name=column["name"], type=column["type"]) for column in answer["columns"]]
    names = [column.name for column in columns]
    return Answer(columns=columns, rows=[dict(zip(names, values, strict=True)) for values in answer["values"]])


def check_range(start: datetime, end: datetime) -> None:
    """
    Refuse a range that no event can lie in.

    Raises:
        OperatorError: If *end* is not after *start*, or one of them beyond what the index can tell.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("start and end need a time zone")
    if start >= end:
        raise OperatorError(
            f"the range from {iso(start)} to {iso(end)} is empty; its end has to be later than its begin",
            exit_code=2,
        )
    if start < _FIRST_TIME or end > _LAST_TIME:
        raise OperatorError(
            f"the range from {iso(start)} to {iso(end)} is not within {_FIRST_TIME.year} and "
            f"{_LAST_TIME.year}, the years in which the index can tell time",
            exit_code=2,
        )


def version_filter(model_version: str) -> dict[str, Any]:
    """Return the filter, in query DSL, that lets through the events of *model_version* or of ``(none)``."""
    if model_version == NO_MODEL_VERSION:
        return {"bool": {"must_not": {"exists": {"field": "model_version"}}}}
    return {"term": {"model_version": model_version}}


def _both(one: dict[str, Any] | None, other: dict[str, Any] | None) -> dict[str, Any] | None:
    filters = [each for each in (one, other) if each is not None]
    return {"bool": {"filter": filters}} if filters else None
