"""One try at a batch: what is asked, what is sent, what becomes of each line."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from inferlog_ops.progress import Say
from inferlog_ops.shipper.batch import Batch
from inferlog_ops.shipper.counters import Counters
from inferlog_ops.shipper.dead_letters import DeadLetters
from inferlog_ops.shipper.lines import Line, RefusedLine, bulk_body
from inferlog_ops.shipper.store import NoAnswerError, RefusedError, Store
from inferlog_ops.shipper.verdict import Fate, Verdict, verdicts


class PostponedError(Exception):
    """The rest of the batch has to be sent again later; the message says why."""


class Delivery:
    """Brings batches to the store. Safe to use from several threads, each batch in one thread at a time."""

    def __init__(self, *, store: Store, letters: DeadLetters, counters: Counters, say_once: Say) -> None:
        self._store = store
        self._letters = letters
        self._counters = counters
        self._say_once = say_once
        self._last_taken: dict[str, float] = {}

    def deliver(self, batch: Batch) -> None:
        """
        Send what is left of *batch* until nothing is.

        Raises:
            PostponedError: If something is left that cannot be sent right now.
        """
        self._write_letters(batch)
        while batch.lines:
            lines = batch.lines[: batch.request_lines]
            if batch.doubtful:
                lines = self._without_existing(batch, lines)
            if lines:
                self._send(batch, lines)
                self._write_letters(batch)

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
            raise PostponedError(f"no answer when asked which events it has: {error}") from error
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
        began = time.monotonic()
        try:
            answer = self._store.bulk(batch.stream, bulk_body(lines, datetime.now(UTC)))
        except NoAnswerError as error:
            if error.may_have_arrived:
                batch.doubtful = True
                # Some proxies cut a request that is too large for them, instead of answering 413.
                batch.request_lines = max(1, len(lines) // 2)
            raise PostponedError(f"no answer: {error}") from error
        found = verdicts(answer, len(lines))
        if isinstance(found, Verdict):
            if found.fate in (Fate.TOO_LARGE, Fate.SUSPECTED) and len(lines) > 1:
                self._note_suspicion(batch, [found])
                batch.request_lines = len(lines) // 2
                return
            found = [found] * len(lines)
        self._settle(batch, lines, self._judged(batch, found, began))

    def _judged(self, batch: Batch, found: list[Verdict], began: float) -> list[Verdict]:
        """
        Return *found* without suspicion where it can be decided.

        A refusal that could lie in the document or in the configuration lies in the document if the stream took
        others: in the same request, or after the document was first refused and before this try of it *began*.
        """
        if any(verdict.is_done for verdict in found):
            self._last_taken[batch.stream] = time.monotonic()
            guilty = True
        else:
            suspected_at = batch.suspected_at
            guilty = suspected_at is not None and suspected_at < self._last_taken.get(batch.stream, 0.0) < began
        alone = len(found) == 1
        judged = [verdict.refused_if(guilty=guilty, alone=alone) for verdict in found]
        self._note_suspicion(batch, judged)
        return judged

    def _note_suspicion(self, batch: Batch, found: Sequence[Verdict]) -> None:
        if batch.suspected_at is None and any(verdict.fate is Fate.SUSPECTED for verdict in found):
            batch.suspected_at = time.monotonic()

    def _settle(self, batch: Batch, lines: list[Line], judged: list[Verdict]) -> None:
        """
        Take out of *batch* what is done, and prepare its next request.

        Raises:
            PostponedError: If some of *lines* have to wait.
        """
        left: dict[Fate, list[Line]] = {Fate.POSTPONED: [], Fate.TOO_LARGE: [], Fate.SUSPECTED: []}
        reason = ""
        for line, verdict in zip(lines, judged, strict=True):
            if verdict.is_done:
                continue
            if verdict.fate is Fate.REFUSED:
                text = line.text
                batch.refused.append(RefusedLine(line.file, line.offset, verdict.reason, text, len(text)))
                continue
            left[verdict.fate].append(line)
            batch.doubtful |= verdict.unclear
            reason = reason or verdict.reason
        fates = [verdict.fate for verdict in judged]
        self._counters.add(shipped=fates.count(Fate.STORED), duplicates=fates.count(Fate.DUPLICATE))
        # A suspect goes to the end: what becomes of the others shows where the fault lies.
        batch.lines[: len(lines)] = left[Fate.POSTPONED] + left[Fate.TOO_LARGE]
        batch.lines += left[Fate.SUSPECTED]
        if batch.request_lines is not None:
            batch.request_lines = max(1, len(lines) // 2 if left[Fate.TOO_LARGE] else len(lines) * 2)
        elif left[Fate.TOO_LARGE]:
            batch.request_lines = max(1, len(lines) // 2)
        if left[Fate.POSTPONED] or left[Fate.SUSPECTED]:
            self._write_letters(batch)
            raise PostponedError(reason)
