"""Exit of ``scripts/bench``: a missed goal is reported, a failed benchmark is a failure."""

import sys
from pathlib import Path

import pytest
import typer

from benchmarks import benchmark_list
from benchmarks.__main__ import bench
from benchmarks.benchmark_list import Benchmark

SCRIPTS = {
    "good": "print('a table')",
    "slow": "import sys; print('a table'); print('not met: p99: 7 s', file=sys.stderr); raise SystemExit(3)",
    "broken": "raise SystemExit('it fell over')",
}


@pytest.fixture(autouse=True)
def _toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toys = [Benchmark(name=name, module=name, question="?") for name in SCRIPTS]
    for toy in toys:
        (tmp_path / f"{toy.name}.py").write_text(SCRIPTS[toy.name])
    monkeypatch.setattr(benchmark_list, "BENCHMARKS", toys)
    monkeypatch.setattr(
        benchmark_list, "build_command", lambda toy, *_: [sys.executable, str(tmp_path / f"{toy.name}.py")]
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_missed_goal_is_reported_at_the_end_and_does_not_fail_the_run(capfd: pytest.CaptureFixture[str]) -> None:
    bench(["good", "slow"])
    said = capfd.readouterr().err.splitlines()
    assert said[-1] == "slow: not met: p99: 7 s"
    assert not any("failed" in line for line in said)


def test_interrupted_benchmark_is_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        bench(["slow", "broken"])
    assert ended.value.exit_code == 1
    assert "broken failed: exit code 1: it fell over" in capfd.readouterr().err
