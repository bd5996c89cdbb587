"""Events that may belong to a load generator's requests, read from Elasticsearch."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from inferlog_ops.core.snapshot import Filter, Snapshot
from inferlog_ops.query.library import NO_VALUE
from inferlog_ops.query.reconcile.records import ClientRecords

_FIELDS: Final = (
    "@timestamp",
    "event.id",
    "correlation_id",
    "service.name",
    "model_version",
    "http.route",
    "status",
    "http.response.status_code",
    "latency_seconds",
)
_REACH: Final = timedelta(minutes=2)
"""The clocks may differ, and the service may end a request long after its client gave up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent:
    """
    Fields of an event that are compared with a record. None if missing.

    Attributes:
        ended_at: ``@timestamp``, with a time zone.
        event_id: ``event.id``; the same in each copy of the event.
        correlation_id: Correlation id of the request.
        service_name: ``service.name`` of the service that wrote it.
        model_version: Model version that answered; ``(none)`` if the request reached no model.
        route: Route template; ``(none)`` if no route matched.
        status: ``success``, ``rejected``, ``error`` or ``cancelled``.
        status_code: HTTP status code of the response, if it started.
        latency_seconds: From first byte in to last byte out.
    """

    ended_at: datetime
    event_id: str
    correlation_id: str | None
    service_name: str | None
    model_version: str
    route: str
    status: str | None
    status_code: int | None
    latency_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventScope:
    """
    Filter of the events to match: HTTP requests, optionally of one run and one service.

    Attributes:
        run_id: Prefix of the correlation ids; None for all events. Excludes other clients of the service.
        service_name: ``service.name`` of the events; None for all services.
    """

    run_id: str | None = None
    service_name: str | None = None

    @property
    def filter(self) -> Filter:
        """Query DSL filter."""
        filters: list[Filter] = [{"exists": {"field": "http.request.method"}}]
        if self.run_id is not None:
            filters.append({"prefix": {"correlation_id": self.run_id}})
        if self.service_name is not None:
            filters.append({"term": {"service.name": self.service_name}})
        return {"bool": {"filter": filters}}


def build_filter(records: ClientRecords, scope: EventScope) -> Filter:
    """Return the query DSL filter of the events that may belong to *records*."""
    begin, end = records.first_due_at - _REACH, records.last_ended_at + _REACH
    return {
        "bool": {"filter": [scope.filter, {"range": {"@timestamp": {"gte": begin.isoformat(), "lt": end.isoformat()}}}]}
    }


def read_pages(snapshot: Snapshot, query: Filter) -> Iterator[list[RequestEvent]]:
    """Yield the events that match *query*, page by page."""
    for page in snapshot.read_pages(query, _FIELDS):
        yield [_parse_event(values) for values in page]


def _parse_event(values: dict[str, list[Any]]) -> RequestEvent:
    def first(field: str) -> Any:
        return values[field][0] if field in values else None

    return RequestEvent(
        ended_at=datetime.fromisoformat(first("@timestamp")),
        event_id=first("event.id"),
        correlation_id=first("correlation_id"),
        service_name=first("service.name"),
        model_version=first("model_version") or NO_VALUE,
        route=first("http.route") or NO_VALUE,
        status=first("status"),
        status_code=first("http.response.status_code"),
        latency_seconds=first("latency_seconds"),
    )
