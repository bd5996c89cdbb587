"""Output of set-up: a line for each changed object, and the number of unchanged ones."""

from collections.abc import Sequence

from inferlog_ops.core.console import err, out
from inferlog_ops.core.outcome import ProvisionedObject, ProvisionOutcome


def log(text: str) -> None:
    """Print *text* on stderr."""
    err.print(text, highlight=False, markup=False)


def print_results(done: Sequence[ProvisionedObject]) -> None:
    """Print a line for each changed object of *done*, and one for all unchanged ones."""
    for each in done:
        if each.outcome is not ProvisionOutcome.UNCHANGED:
            reason = f": {each.reason}" if each.reason else ""
            out.print(f"{each.outcome} {each.kind} {each.name}{reason}", highlight=False, markup=False)
    if unchanged := sum(each.outcome is ProvisionOutcome.UNCHANGED for each in done):
        out.print(f"{unchanged} unchanged", highlight=False)
