"""Resending of dead letters under their original ids, source by source, with a count of the results."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from inferlog_ops.core.progress import ReportProgress, ignore_progress
from inferlog_ops.ship.batch import join_bulk_heads
from inferlog_ops.ship.bulk_client import BulkClient, NoAnswerError
from inferlog_ops.ship.bulk_response import (
    DUPLICATE,
    STORED,
    Disposition,
    ItemResult,
    RefusedRequestError,
    parse_bulk_response,
)
from inferlog_ops.ship.redrive.letter import Letter, generalize

_BATCH_LETTERS = 500
_BATCH_BYTES = 4 * 1024 * 1024


class TakenSource(Protocol):
    """A source of dead letters that this process has locked."""

    def read_letters(self) -> Iterator[Letter]: ...

    def put(self, letter: Letter, *, done: bool) -> None:
        """Put *letter* aside if it is *done*, or keep it."""


class LetterSource(Protocol):
    @property
    def name(self) -> str: ...

    def read_letters(self) -> Iterator[Letter]:
        """Yield the letters without changing the source."""

    def take(self) -> AbstractContextManager[TakenSource]:
        """Yield the source to a block that puts each letter aside or keeps it."""


class RedriveOutcome(StrEnum):
    """The result of one letter. The values are part of the output."""

    CREATED = "created"
    THERE = "already there"
    SENDABLE = "would be sent"
    REFUSED = "refused again"
    UNSENDABLE = "cannot be sent"
    UNSENT = "not sent"
    """No response, or an error that no letter caused."""

    @property
    def is_done(self) -> bool:
        """Whether Elasticsearch has the document."""
        return self in (RedriveOutcome.CREATED, RedriveOutcome.THERE)


@dataclass(frozen=True, slots=True)
class ResentLetter:
    """A letter, its outcome, and the reason if there is one."""

    letter: Letter
    outcome: RedriveOutcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LetterCount:
    """Number of letters of a source with the same stream and reason."""

    source: str
    stream: str
    reason: str
    letters: int
    can_be_sent: bool


@dataclass(frozen=True, slots=True)
class RedriveTally:
    """
    Counts for one source.

    Attributes:
        source: Its name.
        outcomes: Number of letters per outcome.
        reasons: Number of letters per outcome and reason, for outcomes with a reason.
    """

    source: str
    outcomes: Counter[RedriveOutcome]
    reasons: Counter[tuple[RedriveOutcome, str]]

    @property
    def left(self) -> int:
        """Number of letters that are still to be sent or fixed."""
        return sum(count for outcome, count in self.outcomes.items() if not outcome.is_done)

    def add(self, resent: ResentLetter) -> None:
        self.outcomes[resent.outcome] += 1
        if resent.reason:
            self.reasons[resent.outcome, resent.reason] += 1


class Resender:
    """
    Sends letters in batches. Stops sending after the first error that no letter caused.

    Args:
        client: Client of the cluster to send to.
        dry_run: Only search for existing ids.
        report: Receives progress lines.

    Attributes:
        trouble: Why sending has stopped; None if it has not.
    """

    def __init__(self, client: BulkClient, *, dry_run: bool = False, report: ReportProgress = ignore_progress) -> None:
        self._client = client
        self._dry_run = dry_run
        self._report = report
        self._letters = 0
        self.trouble: str | None = None

    def send(self, letters: Iterable[Letter]) -> Iterator[ResentLetter]:
        """Yield each of *letters* with its outcome, in any order within a batch."""
        for batch in _split_into_batches(letters):
            self._report(f"{self._letters:,} letters done")
            self._letters += len(batch)
            by_stream: defaultdict[str, list[Letter]] = defaultdict(list)
            for letter in batch:
                if letter.can_be_sent:
                    by_stream[letter.stream].append(letter)
                else:
                    yield ResentLetter(letter, RedriveOutcome.UNSENDABLE, letter.reason)
            for stream, of_stream in by_stream.items():
                yield from self._send_to(stream, of_stream)

    def _send_to(self, stream: str, letters: list[Letter]) -> Iterator[ResentLetter]:
        existing = self._find_existing(stream, letters)
        yield from (ResentLetter(letter, RedriveOutcome.THERE) for letter in letters if letter.id in existing)
        missing = [letter for letter in letters if letter.id not in existing]
        if self.trouble is not None:
            yield from (ResentLetter(letter, RedriveOutcome.UNSENT, self.trouble) for letter in missing)
        elif self._dry_run:
            yield from (ResentLetter(letter, RedriveOutcome.SENDABLE) for letter in missing)
        elif missing:
            yield from self._create(stream, missing)

    def _find_existing(self, stream: str, letters: Sequence[Letter]) -> frozenset[str]:
        """Return the existing ids: after a rollover Elasticsearch would store an id a second time."""
        if self.trouble is not None:
            return frozenset()
        try:
            return self._client.find_searchable_ids(stream, [letter.id for letter in letters])
        except NoAnswerError as error:
            self.trouble = f"no answer {error}"
        except RefusedRequestError as error:
            self.trouble = f"the search for existing ids failed: Elasticsearch {error}"
        return frozenset()

    def _create(self, stream: str, letters: Sequence[Letter]) -> Iterator[ResentLetter]:
        body = join_bulk_heads([letter.head for letter in letters], datetime.now(UTC))
        try:
            response = self._client.send_bulk(stream, body, refresh=True)
        except NoAnswerError as error:
            self.trouble = f"no answer {error}"
            yield from (ResentLetter(letter, RedriveOutcome.UNSENT, self.trouble) for letter in letters)
            return
        results = parse_bulk_response(response, len(letters))
        if isinstance(results, ItemResult):
            if results.disposition in (Disposition.TOO_LARGE, Disposition.SUSPECTED) and len(letters) > 1:
                middle = len(letters) // 2
                yield from self._create(stream, letters[:middle])
                yield from self._send_to(stream, list(letters[middle:]))
                return
            results = [results] * len(letters)
        for letter, result in zip(letters, results, strict=True):
            yield self._classify(letter, result)

    def _classify(self, letter: Letter, result: ItemResult) -> ResentLetter:
        if result == STORED:
            return ResentLetter(letter, RedriveOutcome.CREATED)
        if result == DUPLICATE:
            return ResentLetter(letter, RedriveOutcome.THERE)
        if result.disposition is Disposition.POSTPONED:
            self.trouble = result.reason
            return ResentLetter(letter, RedriveOutcome.UNSENT, result.reason)
        return ResentLetter(letter, RedriveOutcome.REFUSED, generalize(result.reason))


def count_letters(sources: Iterable[LetterSource]) -> Iterator[LetterCount]:
    """Yield the number of letters per stream and reason, the most frequent first. Changes and sends nothing."""
    for source in sources:
        kinds = Counter((letter.stream, letter.reason, letter.can_be_sent) for letter in source.read_letters())
        for (stream, reason, can_be_sent), count in kinds.most_common():
            yield LetterCount(source.name, stream, reason, count, can_be_sent)


def preview_letters(sources: Iterable[LetterSource], resender: Resender) -> Iterator[RedriveTally]:
    """Yield the counts of a dry run: *resender* sends nothing, and no source changes."""
    for source in sources:
        tally = RedriveTally(source=source.name, outcomes=Counter(), reasons=Counter())
        for resent in resender.send(source.read_letters()):
            tally.add(resent)
        yield tally


def redrive_letters(sources: Iterable[LetterSource], resender: Resender) -> Iterator[RedriveTally]:
    """
    Send the letters of *sources*, put aside the stored ones, keep the rest; yield the counts of each source.

    Once *resender* is in trouble, the remaining sources stay unchanged.
    """
    for source in sources:
        if resender.trouble is not None:
            return
        tally = RedriveTally(source=source.name, outcomes=Counter(), reasons=Counter())
        with source.take() as taken:
            for resent in resender.send(taken.read_letters()):
                taken.put(resent.letter, done=resent.outcome.is_done)
                tally.add(resent)
        yield tally


def _split_into_batches(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    batch: list[Letter] = []
    size = 0
    for letter in letters:
        batch.append(letter)
        size += len(letter.head)
        if len(batch) >= _BATCH_LETTERS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
