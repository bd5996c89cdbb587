"""What set-up says that it did: what is new or other than before, and how much was as it should be."""

from collections.abc import Sequence

from inferlog_ops.core.console import err, out
from inferlog_ops.core.outcome import Outcome, Provisioned


def say(text: str) -> None:
    """Say *text* on the way to the answer."""
    err.print(text, highlight=False, markup=False)


def show(done: Sequence[Provisioned]) -> None:
    """Print a line for each of *done* that is not as it was, and one for all that is."""
    for each in done:
        if each.outcome is not Outcome.UNCHANGED:
            reason = f": {each.reason}" if each.reason else ""
            out.print(f"{each.outcome} {each.kind} {each.name}{reason}", highlight=False, markup=False)
    if unchanged := sum(each.outcome is Outcome.UNCHANGED for each in done):
        out.print(f"{unchanged} as they should be", highlight=False)
