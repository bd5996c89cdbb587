"""Asks a cluster one of the queries for a range of time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, reason, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import stream_name
from inferlog_ops.query import notes
from inferlog_ops.query.library import Query, text_for
from inferlog_ops.query.notes import Note
from inferlog_ops.query.text import Limit, limit_of_answer, limits_of_reading, with_versions_of_their_own
from inferlog_ops.query.timerange import iso

NO_MODEL_VERSION = "(none)"
"""The row of the events that name no model version."""

_TIMEOUT_SECONDS = 120.0
_UNPROVISIONED = re.compile("Unknown (index|column)")
_TOO_LARGE = "circuit_breaking_exception"
_CLOCKS_DIFFER_BY = timedelta(seconds=1)
"""Clocks of hosts in order differ by less; so an event of the moment of asking is none of the future."""

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
        notes: On rows that are missing, and on model versions that share a row.
    """

    columns: list[Column]
    rows: list[dict[str, Any]]
    notes: tuple[Note, ...] = ()


def run(
    cluster: Cluster,
    query: Query,
    start: datetime,
    end: datetime,
    model_version: str | None = None,
    *,
    within: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """
    Return all rows of *query*, each model version in rows of its own; the arguments are those of `ask`.

    Raises:
        OperatorError: As `ask` does, and if rows are missing.
    """
    answer = ask(cluster, query, start, end, model_version, within=within)
    if notes.is_incomplete(answer.notes):
        raise OperatorError(f"{query.name}: {' '.join(note.text for note in answer.notes)}")
    return answer.rows


def ask(
    cluster: Cluster,
    query: Query,
    start: datetime,
    end: datetime,
    model_version: str | None = None,
    *,
    within: dict[str, Any] | None = None,
    top_versions: int | None = None,
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
        top_versions: Only so many model versions, those with the most requests, have rows of their own; all others
            together are ``(other)``, computed from their events. None: each has.
        timeout_seconds: How long the cluster may take for each of up to four searches.

    Raises:
        OperatorError: If the range is empty, the query cannot be split by version, or the cluster refuses.
    """
    check_range(start, end)
    if model_version is not None and not query.takes_model_version:
        raise OperatorError(
            f"{query.name} cannot be asked about one model version; ask it without --model-version",
            exit_code=2,
        )
    if top_versions is not None and query.top_versions is None:
        raise OperatorError(f"{query.name} has no row for each model version; ask it without --top", exit_code=2)
    filter_ = _both(None if model_version is None else version_filter(model_version), within)
    with (
        cluster.client(request_timeout_seconds=timeout_seconds) as client,
        translate_errors(cluster, f"asking {query.name}"),
    ):
        question = _Question(client=client, cluster=cluster, query=query, start=start, end=end, filter=filter_)
        return question.answer(None if model_version is not None else top_versions)


def future_events(
    cluster: Cluster, streams: Sequence[str], end: datetime, model_version: str | None = None
) -> Note | None:
    """
    Return a note on the events of *streams* that are later than *end*, which is now; None without any.

    Raises:
        OperatorError: If the cluster does not answer.
    """
    later = {"range": {"@timestamp": {"gte": iso(end + _CLOCKS_DIFFER_BY)}}}
    with cluster.client() as client, translate_errors(cluster, "looking for events later than now"):
        answer = client.search(
            index=streams,
            query=_both(later, None if model_version is None else version_filter(model_version)),
            size=0,
            track_total_hits=True,
            aggs={"latest": {"max": {"field": "@timestamp", "format": "strict_date_time"}}},
            ignore_unavailable=True,
            allow_partial_search_results=False,
        )
    count = int(answer["hits"]["total"]["value"])
    if not count:
        return None
    return notes.future_events(count, datetime.fromisoformat(answer["aggregations"]["latest"]["value_as_string"]), end)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A query about a range, and the searches that together make its answer."""

    client: Elasticsearch
    cluster: Cluster
    query: Query
    start: datetime
    end: datetime
    filter: dict[str, Any] | None

    def answer(self, top_versions: int | None) -> Answer:
        text, parameters, about = text_for(self.query, self.cluster.namespace), self._range, list[Note]()
        if top_versions is not None:
            own, requests_of_others = self._top_versions(top_versions)
            if requests_of_others:
                text, of_versions = with_versions_of_their_own(text, own)
                parameters = [*parameters, *of_versions]
                about.append(notes.other_versions(top_versions, requests_of_others))
        found = self._found(text, parameters)
        columns = [Column(name=column["name"], type=column["type"]) for column in found["columns"]]
        names = [column.name for column in columns]
        rows = [dict(zip(names, values, strict=True)) for values in found["values"]]
        return Answer(columns=columns, rows=rows, notes=(*about, *self._on_limits(text, parameters, len(rows))))

    @property
    def _range(self) -> list[dict[str, str]]:
        return [{"_tstart": iso(self.start)}, {"_tend": iso(self.end)}]

    def _on_limits(self, text: str, parameters: list[dict[str, str]], shown: int) -> list[Note]:
        """Count the rows in front of each limit that was reached; a number in the question itself cuts nothing off."""
        about = []
        for limit in limits_of_reading(text) if shown else []:
            counted = self._counted(limit, parameters)
            if counted > limit.rows:
                about.append(notes.unread_rows(limit.rows, counted))
        last = limit_of_answer(text)
        if last and shown >= last.rows and not re.search(rf"\b{last.rows}\b", self.query.question):
            counted = self._counted(last, parameters)
            if counted > shown:
                about.append(notes.missing_rows(shown, counted))
        return about

    def _counted(self, limit: Limit, parameters: list[dict[str, str]]) -> int:
        ((counted,),) = self._found(limit.counting, parameters)["values"]
        return int(counted)

    def _top_versions(self, most: int) -> tuple[list[str], int]:
        """Return the *most* model versions with the most requests, and the number of requests of all others."""
        in_range = {"range": {"@timestamp": {"gte": iso(self.start), "lt": iso(self.end)}}}
        answer = self.client.search(
            index=stream_name("events", self.cluster.namespace),
            query=_both(in_range, self.filter),
            size=0,
            track_total_hits=False,
            aggs={"values": {"terms": {"field": "model_version", "size": most}}},
            # A stream that is not there is reported by the query itself.
            ignore_unavailable=True,
            allow_partial_search_results=False,
        )
        values = answer["aggregations"]["values"]
        return [bucket["key"] for bucket in values["buckets"]], int(values["sum_other_doc_count"])

    def _found(self, text: str, parameters: list[dict[str, str]]) -> Any:
        try:
            return self.client.esql.query(
                query=text,
                params=parameters,
                # Beside the query, as Kibana's controls put it there: never pasted into its text.
                filter=self.filter,
                # A figure of some of the shards is a wrong figure; 9.x would give it without a word.
                allow_partial_results=False,
            )
        except elasticsearch.BadRequestError as error:
            if _UNPROVISIONED.search(reason(error)):
                raise OperatorError(
                    f"{self.cluster.shown_url} lacks the streams or fields that {self.query.name} asks about; "
                    f"make them with: inferlog provision --namespace {self.cluster.namespace}"
                ) from error
            raise
        except elasticsearch.ApiError as error:
            if (why := reason(error)).startswith(_TOO_LARGE):
                raise OperatorError(
                    f"{self.query.name} about {iso(self.start)} to {iso(self.end)} takes more memory than "
                    f"{self.cluster.shown_url} gives one question; ask about a shorter range, "
                    f"or give Elasticsearch a larger heap ({why})"
                ) from error
            raise
