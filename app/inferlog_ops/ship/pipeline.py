"""One shipping run, from saved offsets to the drain: reader, senders, and the main thread that checkpoints."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from inferlog_ops.ship.batch import Batch
from inferlog_ops.ship.bulk_client import NoAnswerError
from inferlog_ops.ship.checkpoint import AckFile, Checkpointer
from inferlog_ops.ship.clock_skew import ClockSkew
from inferlog_ops.ship.cluster_identity import ClusterIdentityCheck
from inferlog_ops.ship.delivery import Delivery, Sender
from inferlog_ops.ship.discovery import FileDiscovery
from inferlog_ops.ship.health import STOPPED, Health
from inferlog_ops.ship.offset_file import OffsetFile
from inferlog_ops.ship.offsets import OffsetTracker, SavedOffset
from inferlog_ops.ship.schedule import Schedule
from inferlog_ops.ship.settings import ShipSettings
from inferlog_ops.ship.status import Counters, Counts, Display, ShipperStatus
from inferlog_ops.ship.stream_refresher import StreamRefresher
from inferlog_ops.ship.tail import FileTailer, Reader, ReplacedFileError

_TICK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipOutcome:
    """
    The result of a run.

    Attributes:
        status: The last status.
        complete: Whether every folder was readable, and every whole line of every file was acknowledged.
        timed_out: Whether the deadline ended the run.
        stopped: Whether a requested stop ended the run.
        why_unsearchable: Why documents of a run with *once* may not be searchable yet; None if all are.
    """

    status: ShipperStatus
    complete: bool
    timed_out: bool
    stopped: bool
    why_unsearchable: str | None = None


class Pipeline:
    """Ships from *saved* offsets until it is stopped. Runs once."""

    def __init__(
        self,
        *,
        logs: Path,
        shipper_id: str,
        saved: Mapping[str, SavedOffset],
        offset_file: OffsetFile,
        ack_file: AckFile,
        health: Health,
        cluster_identity: ClusterIdentityCheck,
        delivery: Delivery,
        refresher: StreamRefresher | None,
        counters: Counters,
        display: Display,
        settings: ShipSettings,
        stats_file: Path | None,
    ) -> None:
        self._settings = settings
        self._display = display
        self._refresher = refresher
        self._health = health
        self._cluster_identity = cluster_identity
        self._tracker = OffsetTracker()
        self._schedule = Schedule(settings.stream_batches, shortened_seconds=settings.first_backoff_seconds)
        self._discovery = FileDiscovery(logs, self._tracker, saved, counters, display.log, shipper_id=shipper_id)
        clock_skew = ClockSkew()
        self._tail = FileTailer(logs, self._tracker, clock_skew, settings)
        self._reader = Reader(
            discovery=self._discovery,
            tail=self._tail,
            tracker=self._tracker,
            schedule=self._schedule,
            settings=settings,
        )
        self._sender = Sender(
            schedule=self._schedule, delivery=delivery, tracker=self._tracker, counters=counters, settings=settings
        )
        self._checkpointer = Checkpointer(
            root=logs,
            tracker=self._tracker,
            schedule=self._schedule,
            discovery=self._discovery,
            clock_skew=clock_skew,
            counters=counters,
            offset_file=offset_file,
            ack_file=ack_file,
            health=health,
            display=display,
            stats_file=stats_file,
            save_seconds=settings.save_seconds,
        )
        self._stopping = threading.Event()
        self._crash: BaseException | None = None

    def run(self, is_stop_requested: Callable[[], bool], *, once: bool, deadline: float | None) -> ShipOutcome:
        """
        Ship until a stop is requested, or with *once* until all existing lines are acknowledged and searchable.

        Args:
            is_stop_requested: Polled in the main thread.
            once: Whether to end after the existing lines.
            deadline: Latest end (monotonic clock).
        """
        timed_out = False
        read = self._reader.run_once if once else self._reader.run_until
        reader = self._start_thread("reader", lambda: read(self._stopping))
        identity_check = self._start_thread("cluster-identity", self._check_cluster)
        senders = [self._start_thread(f"sender-{n}", self._sender.run) for n in range(self._settings.senders)]
        while not (is_stop_requested() or timed_out or self._crash):
            self._checkpointer.run_due()
            if not once:
                self._checkpointer.record_health()
            if once and not (reader.is_alive() or identity_check.is_alive()) and self._schedule.is_empty():
                break
            timed_out = deadline is not None and time.monotonic() >= deadline
            time.sleep(_TICK_SECONDS)
        end_by = time.monotonic() + self._settings.stop_seconds
        self._drain(reader, senders, end_by)
        outcome = ShipOutcome(
            status=self._checkpointer.build_status(),
            complete=self._is_complete(),
            timed_out=timed_out,
            stopped=is_stop_requested(),
        )
        if self._health.is_enabled and not (once and _is_uneventful(outcome.status)):
            self._ship_last_health_line(outcome.status, reader, end_by)
        if self._refresher is None or timed_out or is_stop_requested():
            return outcome
        why_unsearchable = self._wait_until_searchable(self._refresher, is_stop_requested, deadline)
        return replace(outcome, why_unsearchable=why_unsearchable)

    def _check_cluster(self) -> None:
        """Detect another cluster even if there is nothing to send. The first delivery repeats a failed check."""
        with suppress(NoAnswerError):
            self._cluster_identity.check()

    def _drain(self, reader: threading.Thread, senders: list[threading.Thread], end_by: float) -> None:
        """Drain open requests until *end_by*, then checkpoint. Threads that still wait for a response are abandoned."""
        self._stopping.set()
        if self._crash:
            self._schedule.close()
        self._schedule.nudge()
        reader.join(self._settings.stop_seconds * 0.6)
        self._schedule.close()
        for thread in senders:
            thread.join(max(0.0, end_by - time.monotonic()))
        if not reader.is_alive():
            self._discovery.forget_gone(drops_in_flight=True)
        self._checkpointer.run_due(run_all=True)
        self._raise_crash()

    def _ship_last_health_line(self, status: ShipperStatus, reader: threading.Thread, end_by: float) -> None:
        """
        Write a last health line, and ship it if everything else is shipped.

        It does not count: the outcome covers only the lines that existed before. A later shipper sends the line if
        this one does not.
        """
        written = self._health.record(status, STOPPED)
        if not written or reader.is_alive() or not self._schedule.is_empty():
            return
        self._discovery.poll()
        batch = Batch(stream="health")
        for file in self._tracker.list_files():
            if self._health.owns(file.name):
                with suppress(OSError, ReplacedFileError):
                    self._tail.read_into(batch, file)
        sending = self._start_thread("last-health-line", lambda: self._sender.attempt(batch))
        sending.join(max(0.0, end_by - time.monotonic()))
        self._checkpointer.save()
        self._raise_crash()

    def _wait_until_searchable(
        self, refresher: StreamRefresher, is_stop_requested: Callable[[], bool], deadline: float | None
    ) -> str | None:
        """Refresh the streams of all files; return the reason if it gave up, None on success."""
        streams = {file.stream for file in self._tracker.list_files()}
        while reason := refresher.refresh(streams):
            next_try = time.monotonic() + self._settings.first_backoff_seconds
            self._display.show(f"waits until all documents are searchable: {reason}")
            while time.monotonic() < next_try:
                if is_stop_requested() or (deadline is not None and time.monotonic() >= deadline):
                    return reason
                time.sleep(_TICK_SECONDS)
        return None

    def _raise_crash(self) -> None:
        if self._crash:
            raise self._crash

    def _is_complete(self) -> bool:
        files = self._tracker.list_files()
        return (
            self._schedule.is_empty()
            and (not self._discovery.listing.problems or self._discovery.listing.is_missing)
            and not any(file.has_unread or file.trouble for file in files)
        )

    def _start_thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def record_crash() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 (raised again in the main thread)
                self._crash = error

        thread = threading.Thread(target=record_crash, name=name, daemon=True)
        thread.start()
        return thread


def _is_uneventful(status: ShipperStatus) -> bool:
    return status.counts == Counts() and not status.waiting
