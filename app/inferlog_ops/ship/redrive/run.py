"""Goes through everything that dead letters lie in, and counts."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from inferlog_ops.ship.redrive.letter import Letter
from inferlog_ops.ship.redrive.resending import Outcome, Resender


class Taken(Protocol):
    """A source that nobody else works with."""

    def letters(self) -> Iterator[Letter]:
        """Yield what is in it."""

    def settle(self, letter: Letter, *, done: bool) -> None:
        """Put *letter* aside if it is *done*, or keep it."""


class Source(Protocol):
    """Something that dead letters lie in."""

    @property
    def name(self) -> str: ...  # noqa: D102 (its name)

    def letters(self) -> Iterator[Letter]:
        """Yield what is in it, and change nothing."""

    def taken(self) -> AbstractContextManager[Taken]:
        """Give it to a block that decides about each letter."""


@dataclass(frozen=True, slots=True)
class Listed:
    """How many letters of a source have the same stream and reason."""

    source: str
    stream: str
    reason: str
    letters: int
    can_be_sent: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """
    What became of a source's letters.

    Attributes:
        source: Its name.
        outcomes: How many letters had which.
        reasons: For outcomes that have reasons, how many letters had which.
    """

    source: str
    outcomes: Counter[Outcome]
    reasons: Counter[tuple[Outcome, str]]

    @property
    def left(self) -> int:
        """How many letters are still to be sent, or mended."""
        return sum(count for outcome, count in self.outcomes.items() if not outcome.is_done)


def listed(sources: Iterable[Source]) -> Iterator[Listed]:
    """Yield what lies in *sources*, most of one kind first; change nothing, ask no store."""
    for source in sources:
        kinds = Counter((letter.stream, letter.reason, letter.can_be_sent) for letter in source.letters())
        for (stream, reason, can_be_sent), count in kinds.most_common():
            yield Listed(source.name, stream, reason, count, can_be_sent)


def looked_through(sources: Iterable[Source], resender: Resender) -> Iterator[Tally]:
    """Yield what *resender*, which sends nothing, says about each of *sources*; change nothing."""
    for source in sources:
        tally = Tally(source=source.name, outcomes=Counter(), reasons=Counter())
        for resent in resender.send(source.letters()):
            _count(tally, resent.outcome, resent.reason)
        yield tally


def redriven(sources: Iterable[Source], resender: Resender) -> Iterator[Tally]:
    """
    Send what lies in *sources*, put aside what the store has, keep the rest; yield the counts of each.

    Once *resender* is in trouble, the sources that are left are not touched.
    """
    for source in sources:
        if resender.trouble is not None:
            return
        tally = Tally(source=source.name, outcomes=Counter(), reasons=Counter())
        with source.taken() as taken:
            for resent in resender.send(taken.letters()):
                taken.settle(resent.letter, done=resent.outcome.is_done)
                _count(tally, resent.outcome, resent.reason)
        yield tally


def _count(tally: Tally, outcome: Outcome, reason: str) -> None:
    tally.outcomes[outcome] += 1
    if reason:
        tally.reasons[outcome, reason] += 1
