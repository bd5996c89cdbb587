"""Puts events to the requests that they are of, in any order, as they come. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from inferlog_ops.query.reconcile.events import NO_VALUE, Event
from inferlog_ops.query.reconcile.records import OUTCOMES, Outcome, Records

_MOST_STRANGERS: Final = 20
_FITTING: Final[dict[Outcome, frozenset[str]]] = {
    Outcome.ANSWERED: frozenset({"success"}),
    Outcome.REFUSED: frozenset({"rejected"}),
    Outcome.FAILED: frozenset({"error"}),
    # Whether the service or the way to it has ended the answer, only the service knows.
    Outcome.BROKEN: frozenset({"error", "cancelled"}),
    # The end of the answer may have been on its way already.
    Outcome.LEFT: frozenset({"cancelled", "success"}),
}
"""Which status an event may have, by how its client saw the request end; any, where the client saw no end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """
    A request of which client and event do not say the same.

    Attributes:
        correlation_id: Which one.
        outcome: How its client saw it end.
        client_code: The status code that the client got; None if no answer began.
        status: The event's.
        event_code: The status code that the event names, if any.
    """

    correlation_id: str
    outcome: Outcome
    client_code: int | None
    status: str | None
    event_code: int | None


class Matching:
    """
    What is known of each request after some of the events.

    Attributes:
        records: The requests; a place in each array is one of them.
        latency_seconds: ``(requests,)``, float64; that of its first event, NaN while there is none.
        versions: ``(requests,)``, int32; places in `names`, -1 while there is no event.
        routes: The same of the route.
        names: Of model versions and routes.
        copies: Documents beyond the first of an event id, in whichever order they come.
        mismatches: Requests of which client and event do not say the same.
        services: How many of the events each service wrote.
        start: First moment of the requests and their events.
        end: Last moment of the requests and their events.
    """

    def __init__(self, records: Records) -> None:
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
        # Of an event's id its hash is enough to tell a copy from another event of the same request.
        self._event_hashes: NDArray[np.int64] = np.zeros(len(records), np.int64)
        self._further_hashes: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._strangers = 0
        self._some_strangers: list[str] = []
        # Some of them may lie within once all events of requests are known: the service's clock may differ.
        self._strangers_beyond: list[tuple[datetime, str]] = []

    @classmethod
    def of(cls, records: Records, pages: Iterable[Iterable[Event]]) -> Self:
        """Return *records* matched with all events of *pages*."""
        matching = cls(records)
        for page in pages:
            for event in page:
                matching.take(event)
        return matching

    def take(self, event: Event) -> None:
        """Put *event* to its request."""
        place = self.records.places.get(event.correlation_id or "")
        if place is None:
            self._take_stranger(event)
            return
        self.services[event.service_name] += 1
        self.start, self.end = min(self.start, event.ended_at), max(self.end, event.ended_at)
        if self.versions[place] >= 0:
            self._take_another(event, place)
            return
        self.versions[place], self.routes[place] = self._number(event.model_version), self._number(event.route)
        self._event_hashes[place] = hash(event.event_id)
        if event.latency_seconds is not None:
            self.latency_seconds[place] = event.latency_seconds
        self._compare(event, place)

    @property
    def has_event(self) -> NDArray[np.bool_]:
        """Which requests have an event."""
        return self.versions >= 0

    @property
    def lost(self) -> list[str]:
        """Correlation ids of the requests that were answered, at least in part, and have no event."""
        return self._ids(self.records.answer_began & ~self.has_event)

    @property
    def without_event(self) -> list[str]:
        """Correlation ids of those that neither have an answer nor an event: nothing says that they arrived."""
        return self._ids(~self.records.answer_began & ~self.has_event)

    @property
    def duplicated(self) -> list[str]:
        """Correlation ids of those with more than one event, or with one that is in the index more than once."""
        return sorted(self._further_hashes)

    @property
    def surplus(self) -> int:
        """How many events are too many."""
        return sum(hashes.total() for hashes in self._further_hashes.values())

    @property
    def strangers(self) -> int:
        """Count of the events of no request between `start` and `end`: where dashboards count them, too."""
        return self._strangers + len(self._strangers_that_came_within)

    @property
    def some_strangers(self) -> list[str]:
        """Correlation ids of some of them."""
        return [*self._some_strangers, *self._strangers_that_came_within][:_MOST_STRANGERS]

    @property
    def _strangers_that_came_within(self) -> list[str]:
        return [name for moment, name in self._strangers_beyond if self.start <= moment <= self.end]

    def _take_stranger(self, event: Event) -> None:
        name = event.correlation_id or NO_VALUE
        if not self.start <= event.ended_at <= self.end:
            self._strangers_beyond.append((event.ended_at, name))
            return
        self._strangers += 1
        if self._strangers <= _MOST_STRANGERS:
            self._some_strangers.append(name)

    def _take_another(self, event: Event, place: int) -> None:
        known, this = self._further_hashes[event.correlation_id or ""], hash(event.event_id)
        self.copies += bool(self._event_hashes[place] == this) or this in known
        known[this] += 1

    def _compare(self, event: Event, place: int) -> None:
        outcome = OUTCOMES[self.records.outcomes[place]]
        client_code = int(self.records.status_codes[place]) or None
        fits = outcome not in _FITTING or event.status in _FITTING[outcome]
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

    def _number(self, name: str) -> int:
        number = self._numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number

    def _ids(self, chosen: NDArray[np.bool_]) -> list[str]:
        return [correlation_id for correlation_id, place in self.records.places.items() if chosen[place]]
