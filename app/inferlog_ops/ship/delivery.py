"""Delivery of batches: one attempt at a batch, its retries with backoff, and the sender threads' loop."""

import random
import time
from datetime import UTC, datetime

from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.ship.batch import Batch, Line, build_bulk_body
from inferlog_ops.ship.bulk_client import BulkClient, NoAnswerError
from inferlog_ops.ship.bulk_response import (
    DUPLICATE,
    STORED,
    Disposition,
    ItemResult,
    RefusedRequestError,
    parse_bulk_response,
)
from inferlog_ops.ship.cluster_identity import ClusterIdentityCheck
from inferlog_ops.ship.dead_letters import DeadLetters
from inferlog_ops.ship.offsets import OffsetTracker
from inferlog_ops.ship.schedule import Schedule
from inferlog_ops.ship.settings import ShipSettings
from inferlog_ops.ship.status import Counters
from inferlog_ops.ship.stream_refresher import StreamRefresher

_REASON_CHARACTERS = 300


class PostponedBatchError(Exception):
    """The rest of the batch must be sent again later; the message contains the reason."""


class Delivery:
    """
    Delivers batches to Elasticsearch. Thread-safe; a batch belongs to one thread at a time.

    Args:
        refresher: Decides which bulk requests refresh their stream; None for no refresh.
    """

    def __init__(
        self,
        *,
        client: BulkClient,
        cluster_identity: ClusterIdentityCheck,
        dead_letters: DeadLetters,
        counters: Counters,
        refresher: StreamRefresher | None,
        log_once: ReportProgress,
    ) -> None:
        self._client = client
        self._cluster_identity = cluster_identity
        self._dead_letters = dead_letters
        self._counters = counters
        self._refresher = refresher
        self._log_once = log_once
        self._last_stored: dict[str, float] = {}

    def deliver(self, batch: Batch) -> None:
        """
        Send *batch* until it is empty.

        Raises:
            PostponedBatchError: If lines remain that cannot be sent now.
            OtherClusterError: If the cluster is not the one that the offsets belong to.
        """
        try:
            self._deliver(batch)
        except PostponedBatchError:
            self._cluster_identity.distrust()
            raise

    def _deliver(self, batch: Batch) -> None:
        self._write_dead_letters(batch)
        while batch.lines:
            self._check_cluster()
            lines = batch.get_next_request()
            if batch.maybe_stored:
                lines = self._remove_existing(batch, lines)
            if lines:
                self._send(batch, lines)
                self._write_dead_letters(batch)

    def _check_cluster(self) -> None:
        try:
            self._cluster_identity.check()
        except NoAnswerError as error:
            raise PostponedBatchError(f"no answer {error}") from error

    def _write_dead_letters(self, batch: Batch) -> None:
        if not batch.refused:
            return
        try:
            self._dead_letters.write(batch.refused)
        except OSError as error:
            raise PostponedBatchError(f"dead letters cannot be written: {error.strerror}") from error
        self._counters.add(dead_lettered=len(batch.refused))
        batch.clear_refused()

    def _remove_existing(self, batch: Batch, lines: list[Line]) -> list[Line]:
        """Remove lines from *batch* that an earlier attempt stored in a backing index before a rollover."""
        try:
            existing = self._client.find_existing_ids(
                batch.stream, [line.id for line in lines], just_sent=batch.tries > 0
            )
        except NoAnswerError as error:
            raise PostponedBatchError(f"no answer {error}") from error
        except RefusedRequestError as error:
            if error.status != 403 or error.error_type != "security_exception":
                raise PostponedBatchError(f"the search for existing events failed: Elasticsearch {error}") from error
            self._log_once(
                "the API key does not permit searching: after a rollover, events that have to be sent again are stored "
                "twice (grant the privileges read and maintenance to prevent it)"
            )
            return lines
        missing = [line for line in lines if line.id not in existing]
        batch.replace_first(len(lines), missing)
        self._counters.add(duplicates=len(lines) - len(missing))
        return missing

    def _send(self, batch: Batch, lines: list[Line]) -> None:
        """Send *lines*, the first lines of *batch*, and remove the stored ones."""
        refresh = self._refresher is not None and self._refresher.refreshes_with_bulk(batch.stream)
        began = time.monotonic()
        try:
            response = self._client.send_bulk(batch.stream, build_bulk_body(lines, datetime.now(UTC)), refresh=refresh)
        except NoAnswerError as error:
            if error.may_have_arrived:
                batch.mark_maybe_stored()
                # Some proxies close the connection on a request that is too large for them, instead of a 413.
                batch.halve_request(len(lines))
            raise PostponedBatchError(f"no answer {error}") from error
        results = parse_bulk_response(response, len(lines))
        if isinstance(results, ItemResult):
            if results.disposition in (Disposition.TOO_LARGE, Disposition.SUSPECTED) and len(lines) > 1:
                if results.disposition is Disposition.SUSPECTED:
                    batch.mark_suspected()
                batch.halve_request(len(lines))
                return
            results = [results] * len(lines)
        shipped, duplicates = results.count(STORED), results.count(DUPLICATE)
        self._counters.add(shipped=shipped, duplicates=duplicates)
        at_fault = self._is_document_at_fault(batch, stored_some=shipped + duplicates > 0, began=began)
        undone = [
            (line, result.resolve(is_document_at_fault=at_fault, is_alone=len(lines) == 1))
            for line, result in zip(lines, results, strict=True)
            if not result.is_done
        ]
        batch.apply_results(len(lines), undone)
        self._postpone_rest(batch, [result for _, result in undone])

    def _is_document_at_fault(self, batch: Batch, *, stored_some: bool, began: float) -> bool:
        """
        Return whether the document, not the configuration, causes a refusal that may have either cause.

        It does if the stream accepts other documents: in the same request, or after the document was first refused and
        before this attempt *began*.
        """
        if stored_some:
            self._last_stored[batch.stream] = time.monotonic()
            return True
        return batch.suspected_at is not None and batch.suspected_at < self._last_stored.get(batch.stream, 0.0) < began

    def _postpone_rest(self, batch: Batch, undone: list[ItemResult]) -> None:
        """
        Postpone *batch* if some results require a retry after a delay.

        Raises:
            PostponedBatchError: If so.
        """
        waiting = (Disposition.POSTPONED, Disposition.SUSPECTED)
        if any(result.disposition in waiting for result in undone):
            self._write_dead_letters(batch)
            raise PostponedBatchError(
                next(result.reason for result in undone if result.disposition is not Disposition.REFUSED)
            )


class Sender:
    """Sender loop: take a due batch, deliver it, acknowledge it or postpone it. Several threads may run it."""

    def __init__(
        self,
        *,
        schedule: Schedule,
        delivery: Delivery,
        tracker: OffsetTracker,
        counters: Counters,
        settings: ShipSettings,
    ) -> None:
        self._schedule = schedule
        self._delivery = delivery
        self._tracker = tracker
        self._counters = counters
        self._settings = settings

    def run(self) -> None:
        """Send until the schedule is closed."""
        while batch := self._schedule.take():
            self.attempt(batch)

    def attempt(self, batch: Batch) -> None:
        """Make one attempt at *batch*, and postpone the rest."""
        before = len(batch)
        try:
            self._delivery.deliver(batch)
        except PostponedBatchError as postponed:
            self._counters.add_retry()
            batch.record_failure(_shorten(f"{batch.stream}: {postponed}"), made_progress=len(batch) != before)
            delay = compute_backoff_seconds(
                batch.tries,
                first_seconds=self._settings.first_backoff_seconds,
                longest_seconds=self._settings.longest_backoff_seconds,
            )
            self._schedule.postpone(batch, delay)
        else:
            self._tracker.acknowledge(batch.byte_ranges)
            self._schedule.finish(batch)


def compute_backoff_seconds(
    tries: int, *, first_seconds: float, longest_seconds: float, jitter: float | None = None
) -> float:
    """
    Return the delay after *tries* failures in a row: doubled each time, at most *longest_seconds*.

    Args:
        tries: 1 or more.
        first_seconds: Maximum delay after the first failure.
        longest_seconds: Upper limit of the doubled delay.
        jitter: Random share of the second half of the delay, from 0 to 1, so that many shippers do not retry at the
            same moment; drawn if absent.
    """
    # 2 to the power of a day's failures would exceed a float.
    full = min(longest_seconds, first_seconds * 2.0 ** min(tries - 1, 60))
    return full * (0.5 + 0.5 * (random.random() if jitter is None else jitter))  # noqa: S311 (not a secret)


def _shorten(reason: str) -> str:
    """Return *reason* on one line of limited length: a reason from Elasticsearch can have many lines."""
    return " ".join(reason.split())[:_REASON_CHARACTERS]
