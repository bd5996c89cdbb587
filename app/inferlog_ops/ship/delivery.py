"""One try at a batch: what is asked, what is sent, what becomes of each line."""

import time
from datetime import UTC, datetime

from inferlog_ops.core.progress import Say
from inferlog_ops.ship.batch import Batch
from inferlog_ops.ship.bulk_response import DUPLICATE, STORED, Disposition, ItemResult, verdicts
from inferlog_ops.ship.cluster_identity import ClusterIdentityCheck
from inferlog_ops.ship.counters import Counters
from inferlog_ops.ship.dead_letters import DeadLetters
from inferlog_ops.ship.lines import Line, RefusedLine, bulk_body
from inferlog_ops.ship.searchable import Searchable
from inferlog_ops.ship.store import NoAnswerError, RefusedError, Store


class PostponedError(Exception):
    """The rest of the batch has to be sent again later; the message says why."""


class Delivery:
    """
    Brings batches to the store. Safe to use from several threads, each batch in one thread at a time.

    Args:
        searchable: Decides which requests refresh their stream; None if none does.
    """

    def __init__(
        self,
        *,
        store: Store,
        same_store: ClusterIdentityCheck,
        letters: DeadLetters,
        counters: Counters,
        searchable: Searchable | None,
        say_once: Say,
    ) -> None:
        self._store = store
        self._same_store = same_store
        self._letters = letters
        self._counters = counters
        self._searchable = searchable
        self._say_once = say_once
        self._last_taken: dict[str, float] = {}

    def deliver(self, batch: Batch) -> None:
        """
        Send what is left of *batch* until nothing is.

        Raises:
            PostponedError: If something is left that cannot be sent right now.
            OtherStoreError: If the store is not the one that the positions are about.
        """
        self._write_letters(batch)
        while batch.lines:
            self._check_store()
            lines = batch.lines[: batch.request_lines]
            if batch.doubtful:
                lines = self._without_existing(batch, lines)
            if lines:
                self._send(batch, lines)
                self._write_letters(batch)

    def _check_store(self) -> None:
        try:
            self._same_store.check()
        except NoAnswerError as error:
            raise PostponedError(f"no answer {error}") from error

    def _write_letters(self, batch: Batch) -> None:
        if not batch.refused:
            return
        try:
            self._letters.write(batch.refused)
        except OSError as error:
            raise PostponedError(f"dead letters cannot be written: {error.strerror}") from error
        self._counters.add(dead_lettered=len(batch.refused))
        batch.refused = []

    def _without_existing(self, batch: Batch, lines: list[Line]) -> list[Line]:
        """Take out of *batch* what an earlier try brought to a backing index that is no longer written to."""
        try:
            existing = self._store.existing_ids(batch.stream, [line.id for line in lines], just_sent=batch.tries > 0)
        except NoAnswerError as error:
            raise PostponedError(f"no answer {error}") from error
        except RefusedError as error:
            if error.status != 403 or error.error_type != "security_exception":
                raise PostponedError(f"asked which events it has, the store {error}") from error
            self._say_once(
                "the store does not let this shipper search: should a stream roll over between a try and its "
                "repetition, events can be in it twice (the privileges read and maintenance prevent it)"
            )
            return lines
        missing = [line for line in lines if line.id not in existing]
        batch.lines[: len(lines)] = missing
        self._counters.add(duplicates=len(lines) - len(missing))
        return missing

    def _send(self, batch: Batch, lines: list[Line]) -> None:
        """Send *lines*, the first ones of *batch*, and take out those that are done."""
        refresh = self._searchable is not None and self._searchable.refreshes_with_bulk(batch.stream)
        began = time.monotonic()
        try:
            answer = self._store.bulk(batch.stream, bulk_body(lines, datetime.now(UTC)), refresh=refresh)
        except NoAnswerError as error:
            if error.may_have_arrived:
                batch.doubtful = True
                # Some proxies cut a request that is too large for them, instead of answering 413.
                batch.request_lines = max(1, len(lines) // 2)
            raise PostponedError(f"no answer {error}") from error
        found = verdicts(answer, len(lines))
        if isinstance(found, ItemResult):
            if found.fate in (Disposition.TOO_LARGE, Disposition.SUSPECTED) and len(lines) > 1:
                self._note_suspicion(batch, found)
                batch.request_lines = len(lines) // 2
                return
            found = [found] * len(lines)
        shipped, duplicates = found.count(STORED), found.count(DUPLICATE)
        self._counters.add(shipped=shipped, duplicates=duplicates)
        guilty = self._is_guilty(batch, took_some=shipped + duplicates > 0, began=began)
        undone = [
            (line, verdict.refused_if(guilty=guilty, alone=len(lines) == 1))
            for line, verdict in zip(lines, found, strict=True)
            if not verdict.is_done
        ]
        self._settle(batch, len(lines), undone)

    def _is_guilty(self, batch: Batch, *, took_some: bool, began: float) -> bool:
        """
        Return whether a refusal that could lie in the document or in the configuration lies in the document.

        It does if the stream takes others: in the same request, or after the document was first refused and before
        this try of it *began*.
        """
        if took_some:
            self._last_taken[batch.stream] = time.monotonic()
            return True
        return batch.suspected_at is not None and batch.suspected_at < self._last_taken.get(batch.stream, 0.0) < began

    def _note_suspicion(self, batch: Batch, verdict: ItemResult) -> None:
        if verdict.fate is Disposition.SUSPECTED and batch.suspected_at is None:
            batch.suspected_at = time.monotonic()

    def _settle(self, batch: Batch, sent: int, undone: list[tuple[Line, ItemResult]]) -> None:
        """
        Take out of *batch* what is done of the first *sent* lines, and prepare its next request.

        Raises:
            PostponedError: If some of them have to wait.
        """
        left: dict[Disposition, list[Line]] = {
            Disposition.POSTPONED: [],
            Disposition.TOO_LARGE: [],
            Disposition.SUSPECTED: [],
        }
        for line, verdict in undone:
            if verdict.fate is Disposition.REFUSED:
                text = line.text
                batch.refused.append(RefusedLine(line.file, line.offset, verdict.reason, text, len(text)))
            else:
                left[verdict.fate].append(line)
                batch.doubtful |= verdict.unclear
                self._note_suspicion(batch, verdict)
        # A suspect goes to the end: what becomes of the others shows where the fault lies.
        batch.lines[:sent] = left[Disposition.POSTPONED] + left[Disposition.TOO_LARGE]
        batch.lines += left[Disposition.SUSPECTED]
        if left[Disposition.TOO_LARGE]:
            batch.request_lines = max(1, sent // 2)
        elif batch.request_lines is not None:
            batch.request_lines = sent * 2
        if left[Disposition.POSTPONED] or left[Disposition.SUSPECTED]:
            self._write_letters(batch)
            raise PostponedError(
                next(verdict.reason for _, verdict in undone if verdict.fate is not Disposition.REFUSED)
            )
