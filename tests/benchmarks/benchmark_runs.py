"""Runs of benchmarks as separate processes with JSON output."""

import json
import subprocess
import sys
from typing import Any

from benchmarks import ROOT
from benchmarks.benchmark_process import GOAL_MISSED


def run_benchmark(benchmark: str, *options: object, timeout_seconds: float = 120) -> dict[str, Any]:
    """Run *benchmark* with *options* and return its report."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{benchmark}", "--json", *map(str, options)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    assert done.returncode in {0, GOAL_MISSED}, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode == 0) is all(goal["met"] for goal in report["goals"]), done.stderr
    for table in report["tables"]:
        assert table["rows"], table["title"]
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}, table["title"]
    return report
