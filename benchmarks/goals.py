"""How a benchmark ends that has goals: one that is missed is no failure, and has a status of its own."""

import sys

from benchmarks.command import tell
from benchmarks.results import Report
from benchmarks.run import GOAL_MISSED


def end_by(report: Report) -> None:
    """End the process with `GOAL_MISSED` if a goal of *report* is not met, and say which: its last words."""
    missed = [f"{goal.what}: {goal.found}, wanted {goal.wanted}" for goal in report.goals if not goal.met]
    if missed:
        tell(f"not met: {'; '.join(missed)}")
        sys.exit(GOAL_MISSED)
