"""Reads the events that may belong to a load generator's requests."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from inferlog_ops.core.snapshot import Filter, Snapshot
from inferlog_ops.query.reconcile.records import Records

NO_VALUE: Final = "(none)"
"""As queries call the group of the events without the value."""

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
"""The service's clock may differ from the client's, and it may end a request long after its client has given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    What is asked of an event. None where it does not say.

    Attributes:
        ended_at: Its ``@timestamp``; with a time zone.
        event_id: Made by the service; the same in each copy.
        correlation_id: As the request bore it.
        service_name: Which service wrote it.
        model_version: What answered; ``(none)`` if nothing did.
        route: Route template; ``(none)`` if none matched.
        status: ``success``, ``rejected``, ``error`` or ``cancelled``.
        status_code: Of the answer, if one began.
        latency_seconds: First byte in to last byte out.
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
class Scope:
    """
    Which events are asked for: those of requests, not what a service may count besides inside of one.

    Attributes:
        run_id: Only those whose correlation id begins with it, if not None: others used the service meanwhile.
        service_name: Only those of this service, if not None: of several that one request passes.
    """

    run_id: str | None = None
    service_name: str | None = None

    @property
    def filter(self) -> Filter:
        """It as a filter in query DSL."""
        filters: list[Filter] = [{"exists": {"field": "http.request.method"}}]
        if self.run_id is not None:
            filters.append({"prefix": {"correlation_id": self.run_id}})
        if self.service_name is not None:
            filters.append({"term": {"service.name": self.service_name}})
        return {"bool": {"filter": filters}}


def about(records: Records, scope: Scope) -> Filter:
    """Return the filter of the events that may be those of *records*."""
    begin, end = records.first_due_at - _REACH, records.last_ended_at + _REACH
    return {
        "bool": {"filter": [scope.filter, {"range": {"@timestamp": {"gte": begin.isoformat(), "lt": end.isoformat()}}}]}
    }


def pages(snapshot: Snapshot, query: Filter) -> Iterator[list[Event]]:
    """Yield the events that *query* lets through, so many at a time as the index gives."""
    for page in snapshot.pages(query, _FIELDS):
        yield [_event(values) for values in page]


def _event(values: dict[str, list[Any]]) -> Event:
    def first(field: str) -> Any:
        return values[field][0] if field in values else None

    return Event(
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
