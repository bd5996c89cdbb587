"""Puts dead letters into the store under the ids that they had, and says what became of each."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from inferlog_ops.ship.bulk_response import DUPLICATE, STORED, Disposition, ItemResult, verdicts
from inferlog_ops.ship.lines import body_of_heads
from inferlog_ops.ship.redrive.letter import Letter, general
from inferlog_ops.ship.store import NoAnswerError, RefusedError, Store

_BATCH_LETTERS = 500
_BATCH_BYTES = 4 * 1024 * 1024


class Outcome(StrEnum):
    """What became of a letter."""

    CREATED = "created"
    THERE = "already there"
    SENDABLE = "would be sent"
    REFUSED = "refused again"
    UNSENDABLE = "cannot be sent"
    UNSENT = "not sent"
    """The store did not answer, or answered something that is no letter's fault."""

    @property
    def is_done(self) -> bool:
        """Whether the store has the document."""
        return self in (Outcome.CREATED, Outcome.THERE)


@dataclass(frozen=True, slots=True)
class Resent:
    """A letter, what became of it, and why, where there is a reason to give."""

    letter: Letter
    outcome: Outcome
    reason: str = ""


class Resender:
    """
    Sends letters, a batch at a time. After the first answer that is no letter's fault it sends no more.

    Args:
        store: Where to.
        dry_run: Only ask what the store has already.

    Attributes:
        trouble: Why nothing is sent any more; None as long as all is well.
    """

    def __init__(self, store: Store, *, dry_run: bool = False) -> None:
        self._store = store
        self._dry_run = dry_run
        self.trouble: str | None = None

    def send(self, letters: Iterable[Letter]) -> Iterator[Resent]:
        """Yield each of *letters* with what became of it, those of one batch in any order."""
        for batch in _batches(letters):
            by_stream: defaultdict[str, list[Letter]] = defaultdict(list)
            for letter in batch:
                if letter.can_be_sent:
                    by_stream[letter.stream].append(letter)
                else:
                    yield Resent(letter, Outcome.UNSENDABLE, letter.reason)
            for stream, of_stream in by_stream.items():
                yield from self._send_to(stream, of_stream)

    def _send_to(self, stream: str, letters: list[Letter]) -> Iterator[Resent]:
        there = self._existing(stream, letters)
        yield from (Resent(letter, Outcome.THERE) for letter in letters if letter.id in there)
        missing = [letter for letter in letters if letter.id not in there]
        if self.trouble is not None:
            yield from (Resent(letter, Outcome.UNSENT, self.trouble) for letter in missing)
        elif self._dry_run:
            yield from (Resent(letter, Outcome.SENDABLE) for letter in missing)
        elif missing:
            yield from self._create(stream, missing)

    def _existing(self, stream: str, letters: Sequence[Letter]) -> frozenset[str]:
        """Return the ids that are there: one in an index that is no longer written to would be taken a second time."""
        if self.trouble is not None:
            return frozenset()
        try:
            return self._store.searchable_ids(stream, [letter.id for letter in letters])
        except NoAnswerError as error:
            self.trouble = f"no answer {error}"
        except RefusedError as error:
            self.trouble = f"asked which ids it has, the store {error}"
        return frozenset()

    def _create(self, stream: str, letters: Sequence[Letter]) -> Iterator[Resent]:
        body = body_of_heads([letter.head for letter in letters], datetime.now(UTC))
        try:
            answer = self._store.bulk(stream, body, refresh=True)
        except NoAnswerError as error:
            self.trouble = f"no answer {error}"
            yield from (Resent(letter, Outcome.UNSENT, self.trouble) for letter in letters)
            return
        found = verdicts(answer, len(letters))
        if isinstance(found, ItemResult):
            if found.fate in (Disposition.TOO_LARGE, Disposition.SUSPECTED) and len(letters) > 1:
                middle = len(letters) // 2
                yield from self._create(stream, letters[:middle])
                yield from self._send_to(stream, list(letters[middle:]))
                return
            found = [found] * len(letters)
        for letter, verdict in zip(letters, found, strict=True):
            yield self._resent(letter, verdict)

    def _resent(self, letter: Letter, verdict: ItemResult) -> Resent:
        if verdict == STORED:
            return Resent(letter, Outcome.CREATED)
        if verdict == DUPLICATE:
            return Resent(letter, Outcome.THERE)
        if verdict.fate is Disposition.POSTPONED:
            self.trouble = verdict.reason
            return Resent(letter, Outcome.UNSENT, verdict.reason)
        return Resent(letter, Outcome.REFUSED, general(verdict.reason))


def _batches(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
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
