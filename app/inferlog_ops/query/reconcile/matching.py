"""Matching of events to requests, in any order, one event at a time. No I/O."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from inferlog_ops.query.library import NO_VALUE
from inferlog_ops.query.reconcile.events import RequestEvent
from inferlog_ops.query.reconcile.records import OUTCOMES, ClientOutcome, ClientRecords

_MAX_STRANGERS: Final = 20
_EXPECTED_STATUS: Final[dict[ClientOutcome, frozenset[str]]] = {
    ClientOutcome.ANSWERED: frozenset({"success"}),
    ClientOutcome.REFUSED: frozenset({"rejected"}),
    ClientOutcome.FAILED: frozenset({"error"}),
    # Only the service can distinguish its own failure from a broken connection.
    ClientOutcome.BROKEN: frozenset({"error", "cancelled"}),
    # The end of the response may already have been sent.
    ClientOutcome.LEFT: frozenset({"cancelled", "success"}),
}
"""Expected event status by client outcome; outcomes without an entry accept any status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """
    A request with different ends in its record and its event.

    Attributes:
        correlation_id: Correlation id of the request.
        outcome: Outcome in the client's record.
        client_code: Status code in the client's record; None if no response started.
        status: Status in the event.
        event_code: Status code in the event, if any.
    """

    correlation_id: str
    outcome: ClientOutcome
    client_code: int | None
    status: str | None
    event_code: int | None


class Matching:
    """
    Requests of the clients, each with the figures of its event; events are added page by page.

    Attributes:
        records: The requests; array index = request.
        latency_seconds: ``(requests,)``, float64; latency of its first event, NaN without one.
        versions: ``(requests,)``, int32; index in `names`, -1 without an event.
        routes: ``(requests,)``, int32; the same for the route.
        names: Names of model versions and routes.
        copies: Number of documents beyond the first of each event id, in any order.
        mismatches: Requests with different ends in record and event.
        services: Number of events by service.
        start: Earliest time of the requests and their events.
        end: Latest time of the requests and their events.
    """

    def __init__(self, records: ClientRecords) -> None:
        self.records = records
        self.latency_seconds: NDArray[np.float64] = np.full(len(records), np.nan)
        self.versions: NDArray[np.int32] = np.full(len(records), -1, np.int32)
        self.routes: NDArray[np.int32] = np.full(len(records), -1, np.int32)
        self.names: list[str] = []
        self.copies = 0
        self.mismatches: list[Mismatch] = []
        self.services: Counter[str | None] = Counter()
        self.start, self.end = records.first_due_at, records.last_ended_at
        self._numbers: dict[str, int] = {}
        # The hash of an event id suffices to distinguish a copy from another event of the same request.
        self._event_hashes: NDArray[np.int64] = np.zeros(len(records), np.int64)
        self._further_hashes: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._strangers = 0
        self._some_strangers: list[str] = []
        # Events outside start..end so far: the range grows with further events, as clocks may differ.
        self._strangers_beyond: list[tuple[datetime, str]] = []

    @classmethod
    def from_records(cls, records: ClientRecords, pages: Iterable[Iterable[RequestEvent]]) -> Self:
        """Return *records* matched with all events of *pages*."""
        matching = cls(records)
        for page in pages:
            for event in page:
                matching.add(event)
        return matching

    def add(self, event: RequestEvent) -> None:
        """Match *event* to its request."""
        place = self.records.places.get(event.correlation_id or "")
        if place is None:
            self._add_stranger(event)
            return
        self.services[event.service_name] += 1
        self.start, self.end = min(self.start, event.ended_at), max(self.end, event.ended_at)
        if self.versions[place] >= 0:
            self._add_duplicate(event, place)
            return
        self.versions[place], self.routes[place] = (
            self._number_name(event.model_version),
            self._number_name(event.route),
        )
        self._event_hashes[place] = hash(event.event_id)
        if event.latency_seconds is not None:
            self.latency_seconds[place] = event.latency_seconds
        self._compare(event, place)

    @property
    def has_event(self) -> NDArray[np.bool_]:
        """Mask of the requests with an event."""
        return self.versions >= 0

    @property
    def lost(self) -> list[str]:
        """Correlation ids of requests with at least part of a response, but without an event."""
        return self._list_ids(self.records.answer_began & ~self.has_event)

    @property
    def without_event(self) -> list[str]:
        """Correlation ids of requests with neither a response nor an event; they may never have arrived."""
        return self._list_ids(~self.records.answer_began & ~self.has_event)

    @property
    def duplicated(self) -> list[str]:
        """Correlation ids of requests with more than one event, or with an event indexed more than once."""
        return sorted(self._further_hashes)

    @property
    def surplus(self) -> int:
        """Number of surplus events."""
        return sum(hashes.total() for hashes in self._further_hashes.values())

    @property
    def strangers(self) -> int:
        """Number of events without a request from `start` to `end`, where dashboards count them."""
        return self._strangers + len(self._late_strangers)

    @property
    def some_strangers(self) -> list[str]:
        """Correlation ids of some `strangers`."""
        return [*self._some_strangers, *self._late_strangers][:_MAX_STRANGERS]

    @property
    def _late_strangers(self) -> list[str]:
        return [name for moment, name in self._strangers_beyond if self.start <= moment <= self.end]

    def _add_stranger(self, event: RequestEvent) -> None:
        name = event.correlation_id or NO_VALUE
        if not self.start <= event.ended_at <= self.end:
            self._strangers_beyond.append((event.ended_at, name))
            return
        self._strangers += 1
        if self._strangers <= _MAX_STRANGERS:
            self._some_strangers.append(name)

    def _add_duplicate(self, event: RequestEvent, place: int) -> None:
        known, this = self._further_hashes[event.correlation_id or ""], hash(event.event_id)
        self.copies += bool(self._event_hashes[place] == this) or this in known
        known[this] += 1

    def _compare(self, event: RequestEvent, place: int) -> None:
        outcome = OUTCOMES[self.records.outcomes[place]]
        client_code = int(self.records.status_codes[place]) or None
        fits = outcome not in _EXPECTED_STATUS or event.status in _EXPECTED_STATUS[outcome]
        if fits and (client_code is None or client_code == event.status_code):
            return
        self.mismatches.append(
            Mismatch(
                correlation_id=event.correlation_id or "",
                outcome=outcome,
                client_code=client_code,
                status=event.status,
                event_code=event.status_code,
            )
        )

    def _number_name(self, name: str) -> int:
        number = self._numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number

    def _list_ids(self, chosen: NDArray[np.bool_]) -> list[str]:
        return [correlation_id for correlation_id, place in self.records.places.items() if chosen[place]]
