"""One run, from saved positions to its end: one reader, a few senders, and the thread that saves and reports."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from inferlog_ops.ship.ack_file import AckFile
from inferlog_ops.ship.batch import Batch
from inferlog_ops.ship.checkpoint import Checkpointer
from inferlog_ops.ship.clock_skew import ClockSkew
from inferlog_ops.ship.cluster_identity import ClusterIdentityCheck
from inferlog_ops.ship.counters import Counters, Counts
from inferlog_ops.ship.delivery import Delivery
from inferlog_ops.ship.display import Display
from inferlog_ops.ship.health import STOPPED, Health
from inferlog_ops.ship.offsets import OffsetTracker
from inferlog_ops.ship.positions import PositionFile, SavedPosition
from inferlog_ops.ship.reader import Reader
from inferlog_ops.ship.schedule import Schedule
from inferlog_ops.ship.searchable import Searchable
from inferlog_ops.ship.sender import Sender
from inferlog_ops.ship.settings import Settings
from inferlog_ops.ship.status import Status
from inferlog_ops.ship.store import NoAnswerError
from inferlog_ops.ship.tail import ReplacedError, Tail
from inferlog_ops.ship.watch import FileDiscovery

_TICK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    How a run ended.

    Attributes:
        status: The last look at it.
        complete: Whether every whole line of every file was answered.
        timed_out: Whether the time given was over before.
        unsearchable: Why documents of a run with *once* may not be searchable yet; None if all are.
    """

    status: Status
    complete: bool
    timed_out: bool
    unsearchable: str | None = None


class Run:
    """Carries on from *saved* positions until it is told to stop. Runs once."""

    def __init__(
        self,
        *,
        logs: Path,
        saved: Mapping[str, SavedPosition],
        positions: PositionFile,
        publication: AckFile,
        health: Health,
        same_store: ClusterIdentityCheck,
        delivery: Delivery,
        searchable: Searchable | None,
        counters: Counters,
        display: Display,
        settings: Settings,
        stats_file: Path | None,
    ) -> None:
        self._settings = settings
        self._display = display
        self._searchable = searchable
        self._health = health
        self._same_store = same_store
        self._ledger = OffsetTracker()
        self._schedule = Schedule(settings.stream_batches, shortened_seconds=settings.first_backoff_seconds)
        self._watch = FileDiscovery(logs, self._ledger, saved, counters, display.say)
        clock_skew = ClockSkew()
        self._tail = Tail(logs, self._ledger, clock_skew, settings)
        self._reader = Reader(
            watch=self._watch,
            tail=self._tail,
            ledger=self._ledger,
            schedule=self._schedule,
            settings=settings,
        )
        self._sender = Sender(
            schedule=self._schedule, delivery=delivery, ledger=self._ledger, counters=counters, settings=settings
        )
        self._keeper = Checkpointer(
            root=logs,
            ledger=self._ledger,
            schedule=self._schedule,
            watch=self._watch,
            clock_skew=clock_skew,
            counters=counters,
            positions=positions,
            publication=publication,
            health=health,
            display=display,
            stats_file=stats_file,
            save_seconds=settings.save_seconds,
        )
        self._stopping = threading.Event()
        self._crash: BaseException | None = None

    def until(self, stop_asked: Callable[[], bool], *, once: bool, deadline: float | None) -> Outcome:
        """
        Ship until *stop_asked*, or with *once* until all that is there now is answered and searchable.

        Args:
            stop_asked: Whether to end.
            once: Whether to end by itself.
            deadline: End then at the latest (monotonic clock).
        """
        timed_out = False
        reading = self._reader.run_once if once else self._reader.run_until
        reader = self._thread("reader", lambda: reading(self._stopping))
        asker = self._thread("asker", self._ask_store)
        senders = [self._thread(f"sender-{n}", self._sender.run) for n in range(self._settings.senders)]
        while not (stop_asked() or timed_out or self._crash):
            self._keeper.keep()
            if not once:
                self._keeper.beat()
            if once and not (reader.is_alive() or asker.is_alive()) and self._schedule.is_empty():
                break
            timed_out = deadline is not None and time.monotonic() >= deadline
            time.sleep(_TICK_SECONDS)
        end_by = time.monotonic() + self._settings.stop_seconds
        self._end(reader, senders, end_by)
        outcome = Outcome(status=self._keeper.status(), complete=self._is_complete(), timed_out=timed_out)
        if self._health.wanted and not (once and _is_uneventful(outcome.status)):
            self._say_goodbye(outcome.status, reader, end_by)
        if self._searchable is None or timed_out or stop_asked():
            return outcome
        unsearchable = self._wait_until_searchable(self._searchable, stop_asked, deadline)
        return replace(outcome, unsearchable=unsearchable)

    def _ask_store(self) -> None:
        """Have another store noticed even if there is nothing to send. One that is away is noticed later."""
        with suppress(NoAnswerError):
            self._same_store.check()

    def _end(self, reader: threading.Thread, senders: list[threading.Thread], end_by: float) -> None:
        """Give what is on its way a little time, then save. Threads that still wait for an answer are left behind."""
        self._stopping.set()
        if self._crash:
            self._schedule.close()
        self._schedule.nudge()
        reader.join(self._settings.stop_seconds * 0.6)
        self._schedule.close()
        for thread in senders:
            thread.join(max(0.0, end_by - time.monotonic()))
        if not reader.is_alive():
            self._watch.forget_gone()
        self._keeper.keep(now_at_latest=True)
        self._raise_crash()

    def _say_goodbye(self, status: Status, reader: threading.Thread, end_by: float) -> None:
        """
        Write a last health line, and bring it to the store if all else is there.

        It is not counted anywhere: the outcome is that of the lines that were there to be shipped. A line that stays
        behind is shipped by whoever comes next.
        """
        written = self._health.record(status, STOPPED)
        if not written or reader.is_alive() or not self._schedule.is_empty():
            return
        self._watch.look()
        batch = Batch(stream="health")
        for file in self._ledger.files():
            if self._health.owns(file.name):
                with suppress(OSError, ReplacedError):
                    self._tail.read_into(batch, file)
        sending = self._thread("goodbye", lambda: self._sender.attempt(batch))
        sending.join(max(0.0, end_by - time.monotonic()))
        self._keeper.save()
        self._raise_crash()

    def _wait_until_searchable(
        self, searchable: Searchable, stop_asked: Callable[[], bool], deadline: float | None
    ) -> str | None:
        """Refresh the streams of all files; return why it was given up, None when it is done."""
        streams = {file.stream for file in self._ledger.files()}
        while reason := searchable.refresh(streams):
            next_try = time.monotonic() + self._settings.first_backoff_seconds
            self._display.show(f"waits until all is searchable: {reason}")
            while time.monotonic() < next_try:
                if stop_asked() or (deadline is not None and time.monotonic() >= deadline):
                    return reason
                time.sleep(_TICK_SECONDS)
        return None

    def _raise_crash(self) -> None:
        if self._crash:
            raise self._crash

    def _is_complete(self) -> bool:
        files = self._ledger.files()
        return self._schedule.is_empty() and not any(file.has_unread or file.trouble for file in files)

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 (raised again in the main thread)
                self._crash = error

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread


def _is_uneventful(status: Status) -> bool:
    return status.counts == Counts() and not status.waiting
