"""The benchmarks as anybody runs them: a process each, whose answer a program reads."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from inferlog_ops.bench.run import GOAL_MISSED

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def answer_of(script: str, *options: object, timeout_seconds: float = 120) -> dict[str, Any]:
    """Run *script* with *options* and return its report."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, "--json", *map(str, options)],
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
