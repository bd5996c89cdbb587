"""
Instructions of one event for the service, as ratios to a line of structlog.

    .venv/bin/python -m benchmarks.instructions

The loops of `logging_cost` run under valgrind's callgrind, which counts the instructions of the process, without those
of the kernel. Other programs on the machine change the time of an event, but not this figure: use it to compare two
versions of the library, and the times to compare libraries.
"""

import argparse
import asyncio
import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import inferlog
from benchmarks import ROOT, command_line
from benchmarks.benchmark_report import BenchmarkReport, Table, exit_if_missed, show_report
from benchmarks.command_line import log_progress
from benchmarks.logging_cost import (
    ADDED,
    BLOCK,
    EXTRA,
    FUNCTION,
    LEAST,
    MIDDLEWARE,
    QUICKEST,
    RECORD,
    WITHOUT,
    prepare_library,
)
from benchmarks.other_loggers import OTHERS
from inferlog_ops.core.errors import OperatorError

LOOPS = (LEAST, RECORD, FUNCTION, BLOCK, MIDDLEWARE, WITHOUT, QUICKEST)
MARK = "os_getppid*"
WARM_UP_EVENTS = 300


def main() -> None:
    options = parse_options()
    if options.loops:
        asyncio.run(run_loops(options.events))
        return
    if shutil.which("valgrind") is None:
        raise OperatorError("valgrind is not installed: apt-get install valgrind", exit_code=2)
    with tempfile.TemporaryDirectory() as directory:
        log_progress("counting, which takes a few minutes")
        totals = count(Path(directory) / "callgrind.out", options.events)
    costs = build_costs(totals, options.events)
    report = BenchmarkReport(figures=costs, tables=[build_table(costs)])
    show_report(report, options)
    exit_if_missed(report)


def parse_options() -> argparse.Namespace:
    parser = command_line.make_parser(__doc__)
    parser.add_argument("--events", type=int, help="events of each variant; default: 2000, quick 200")
    parser.add_argument("--loops", action="store_true", help="run the loops without counting, as valgrind does")
    return command_line.parse_options(parser, full={"events": 2000}, quick={"events": 200})


def count(output: Path, events: int) -> list[int]:
    """Return the instructions up to each mark, and between two marks."""
    command = ["valgrind", "--tool=callgrind", f"--dump-before={MARK}", f"--callgrind-out-file={output}"]
    loops = [sys.executable, "-m", "benchmarks.instructions", "--loops", "--events", str(events)]
    done = subprocess.run([*command, *loops], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OperatorError(f"valgrind ended with exit code {done.returncode}: {done.stderr[-500:]}")
    totals = read_totals(output)
    if len(totals) < 2 * len(LOOPS):
        raise OperatorError(f"callgrind has not found {MARK}: use a Python that is not stripped of its symbols")
    return totals


async def run_loops(events: int) -> None:
    """Run the loop of each variant between two calls of `os.getppid`, the marks for callgrind."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        inferlog.configure(service_name="benchmark", log_dir=directory, console="never", heartbeat_seconds=0)
        ways = prepare_library(directory) | {QUICKEST: OTHERS[QUICKEST](directory, EXTRA)}
        for way in ways.values():
            way(WARM_UP_EVENTS)
        for way in ways.values():
            gc.collect()
            os.getppid()
            way(events)
            os.getppid()
        inferlog.shutdown()


def read_totals(output: Path) -> list[int]:
    """Return the total of each part of callgrind's *output*, in the order in which they were written."""
    parts = sorted(output.parent.glob(f"{output.name}.*"), key=lambda part: int(part.suffix[1:]))
    totals = (re.search(r"^(?:totals|summary): (\d+)", part.read_text(), re.MULTILINE) for part in parts)
    return [int(total[1]) for total in totals if total]


def build_costs(totals: list[int], events: int) -> dict[str, int]:
    """Return the instructions of an event of each variant; every second part is one."""
    costs = {name: total // events for name, total in zip(LOOPS, totals[1::2], strict=True)}
    return costs | {ADDED: costs[MIDDLEWARE] - costs[WITHOUT]}


def build_table(costs: dict[str, int]) -> Table:
    rows = [(name, f"{cost:,}", f"{cost / costs[QUICKEST]:.2f}") for name, cost in costs.items()]
    return Table(title="Instructions of an event", columns=("", "instructions", f"lines of {QUICKEST}"), rows=rows)


if __name__ == "__main__":
    command_line.run_main(main)
