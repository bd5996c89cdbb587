"""Puts the parts together and keeps them going: one reader, a few senders, and the thread that saves and reports."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inferlog_ops.cluster import Cluster
from inferlog_ops.shipper.counters import Counters
from inferlog_ops.shipper.dead_letters import DeadLetters
from inferlog_ops.shipper.delivery import Delivery
from inferlog_ops.shipper.display import Display
from inferlog_ops.shipper.keeper import Keeper
from inferlog_ops.shipper.ledger import Ledger
from inferlog_ops.shipper.positions import PositionFile
from inferlog_ops.shipper.publication import Publication
from inferlog_ops.shipper.reader import Reader
from inferlog_ops.shipper.schedule import Schedule
from inferlog_ops.shipper.sender import Sender
from inferlog_ops.shipper.settings import Settings
from inferlog_ops.shipper.state_dir import StateDir, held, usable
from inferlog_ops.shipper.status import Status
from inferlog_ops.shipper.store import Store
from inferlog_ops.shipper.tail import Tail
from inferlog_ops.shipper.watch import Watch

_TICK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    How a run ended.

    Attributes:
        status: The last look at it.
        complete: Whether every whole line of every file was answered.
        timed_out: Whether the time given was over before.
    """

    status: Status
    complete: bool
    timed_out: bool


class Shipper:
    """Ships what lies beneath one folder to one namespace of one store. Runs once."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        logs: Path,
        state: StateDir,
        display: Display,
        settings: Settings,
        stats_file: Path | None,
    ) -> None:
        positions = PositionFile(state.positions, cluster.namespace)
        counters = Counters()
        self._settings = settings
        self._ledger = Ledger()
        self._schedule = Schedule(settings.stream_batches, shortened_seconds=settings.first_backoff_seconds)
        self._store = Store(cluster, settings)
        self._letters = DeadLetters(state.dead_letters)
        self._watch = Watch(logs, self._ledger, positions.load(display.say), counters, display.say)
        self._reader = Reader(
            watch=self._watch,
            tail=Tail(logs, self._ledger, settings),
            ledger=self._ledger,
            schedule=self._schedule,
            settings=settings,
        )
        self._sender = Sender(
            schedule=self._schedule,
            delivery=Delivery(store=self._store, letters=self._letters, counters=counters, say_once=display.say_once),
            ledger=self._ledger,
            settings=settings,
        )
        self._keeper = Keeper(
            root=logs,
            ledger=self._ledger,
            schedule=self._schedule,
            watch=self._watch,
            counters=counters,
            positions=positions,
            publication=Publication(logs, state.shipper_id, display.say),
            display=display,
            stats_file=stats_file,
            save_seconds=settings.save_seconds,
        )
        self._stopping = threading.Event()
        self._stop_asked = False
        self._crash: BaseException | None = None

    def stop(self) -> None:
        """Ask for the end: what is on its way is brought to its end, and the positions are saved."""
        # A signal handler may call this, in the midst of anything that the main thread does: nothing is locked here.
        self._stop_asked = True

    def run(self, *, once: bool, timeout_seconds: float | None = None) -> Outcome:
        """
        Ship until `stop`, or with *once* until all that is there now is answered.

        Args:
            once: Whether to end by itself.
            timeout_seconds: End after this time at the latest.
        """
        deadline = time.monotonic() + timeout_seconds if timeout_seconds is not None else None
        timed_out = False
        reading = self._reader.run_once if once else self._reader.run_until
        reader = self._thread("reader", lambda: reading(self._stopping))
        senders = [self._thread(f"sender-{n}", self._sender.run) for n in range(self._settings.senders)]
        while not (self._stop_asked or timed_out or self._crash):
            self._keeper.keep()
            if once and not reader.is_alive() and self._schedule.is_empty():
                break
            timed_out = deadline is not None and time.monotonic() >= deadline
            time.sleep(_TICK_SECONDS)
        self._end(reader, senders)
        return Outcome(status=self._keeper.status(), complete=self._is_complete(), timed_out=timed_out)

    def close(self) -> None:
        """Release files and connections."""
        self._letters.close()
        self._store.close()

    def _end(self, reader: threading.Thread, senders: list[threading.Thread]) -> None:
        """Give what is on its way a little time, then save. Threads that still wait for an answer are left behind."""
        deadline = time.monotonic() + self._settings.stop_seconds
        self._stopping.set()
        self._schedule.nudge()
        reader.join(self._settings.stop_seconds * 0.6)
        self._schedule.close()
        for thread in senders:
            thread.join(max(0.0, deadline - time.monotonic()))
        if not reader.is_alive():
            self._watch.forget_gone()
        self._keeper.keep(now_at_latest=True)
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


@contextmanager
def shipper(
    *,
    cluster: Cluster,
    logs: Path,
    state_dir: Path,
    display: Display,
    settings: Settings | None = None,
    stats_file: Path | None = None,
) -> Iterator[Shipper]:
    """
    Hold the state directory and give a shipper that is ready to run.

    Args:
        cluster: Where to, and to which namespace.
        logs: The folder of log files.
        state_dir: The shipper's own directory: positions and dead letters.
        display: Where progress is shown.
        settings: Sizes and times, if not the usual ones.
        stats_file: Is kept up to date with the figures, as JSON.

    Raises:
        OperatorError: If the directory is another shipper's, or its positions are about something else.
    """
    with held(state_dir) as state:
        with usable(state_dir):
            made = Shipper(
                cluster=cluster,
                logs=logs,
                state=state,
                display=display,
                settings=settings or Settings(),
                stats_file=stats_file,
            )
        try:
            yield made
        finally:
            made.close()
            display.close()
