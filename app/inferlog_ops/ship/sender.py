"""Takes one batch after the other from the schedule and has it delivered."""

from inferlog_ops.ship.backoff import delay_seconds
from inferlog_ops.ship.batch import Batch
from inferlog_ops.ship.counters import Counters
from inferlog_ops.ship.delivery import Delivery, PostponedError
from inferlog_ops.ship.offsets import OffsetTracker
from inferlog_ops.ship.schedule import Schedule
from inferlog_ops.ship.settings import Settings

_REASON_CHARACTERS = 300


class Sender:
    """Several threads may run the same one."""

    def __init__(
        self, *, schedule: Schedule, delivery: Delivery, ledger: OffsetTracker, counters: Counters, settings: Settings
    ) -> None:
        self._schedule = schedule
        self._delivery = delivery
        self._ledger = ledger
        self._counters = counters
        self._settings = settings

    def run(self) -> None:
        """Send until the schedule is closed."""
        while batch := self._schedule.take():
            self.attempt(batch)

    def attempt(self, batch: Batch) -> None:
        """Try once; what is left has to wait."""
        before = len(batch)
        try:
            self._delivery.deliver(batch)
        except PostponedError as postponed:
            self._counters.add_retry()
            batch.tries = batch.tries + 1 if len(batch) == before else 1
            batch.reason = _one_line(f"{batch.stream}: {postponed}")
            self._schedule.postpone(batch, self._delay_seconds(batch))
        else:
            self._ledger.settle(batch.spans)
            self._schedule.finish(batch)

    def _delay_seconds(self, batch: Batch) -> float:
        return delay_seconds(
            batch.tries,
            first_seconds=self._settings.first_backoff_seconds,
            longest_seconds=self._settings.longest_backoff_seconds,
        )


def _one_line(reason: str) -> str:
    """Return *reason* fit for a status line: a store's own words can be many, over several lines."""
    return " ".join(reason.split())[:_REASON_CHARACTERS]
