"""Instructions of an event, from the output of callgrind. valgrind itself takes minutes and is not run here."""

import subprocess
import sys
from pathlib import Path

from benchmarks import ROOT
from benchmarks.instructions import LOOPS, build_costs, read_totals
from benchmarks.logging_cost import ADDED, MIDDLEWARE, WITHOUT


def test_totals_are_read_in_the_order_of_the_parts(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        (tmp_path / f"out.{number}").write_text(f"version: 1\nevents: Ir\ntotals: {number * 100}\n")
    assert read_totals(tmp_path / "out") == [100, 200, 1000]


def test_every_second_part_is_the_loop_of_a_variant() -> None:
    totals = [7] + [total for number in range(len(LOOPS)) for total in ((number + 1) * 1000, 7)]
    costs = build_costs(totals, events=10)
    assert [costs[name] for name in LOOPS] == [(number + 1) * 100 for number in range(len(LOOPS))]
    assert costs[ADDED] == costs[MIDDLEWARE] - costs[WITHOUT]


def test_each_loop_is_between_two_marks() -> None:
    code = (
        "import asyncio, os; marks = []; os.getppid = lambda: marks.append(1); "
        "from benchmarks import instructions; asyncio.run(instructions.run_loops(2)); print(len(marks))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) == 2 * len(LOOPS)
