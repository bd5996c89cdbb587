"""How a benchmark ends that has goals: what it did not meet is a failure, for CI and for whoever runs it by hand."""

import sys

from command import tell
from report import Report


def end_by(report: Report) -> None:
    """End the process with status 1 if a goal of *report* is not met, and say which."""
    missed = [f"{goal.what}: {goal.found}, wanted {goal.wanted}" for goal in report.goals if not goal.met]
    if missed:
        tell(f"not met: {'; '.join(missed)}")
        sys.exit(1)
