"""One benchmark as a process: its progress, its answer, and its failure."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.benchmark_process import Finding, hold_lock, run_benchmark
from inferlog_ops.core.errors import OperatorError

RunToy = Callable[..., Finding]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def run_toy(tmp_path: Path, said: list[str]) -> RunToy:
    def run_it(code: str, *options: str) -> Finding:
        script = tmp_path / "toy.py"
        script.write_text(code)
        return run_benchmark("toy", [sys.executable, str(script), *options], said.append)

    return run_it


def test_answer_is_stdout_and_progress_is_reported(run_toy: RunToy, said: list[str]) -> None:
    found = run_toy("import sys; print('one of two', file=sys.stderr); print(sys.argv[1:])", "--quick")
    assert (found.answer, found.failure) == ("['--quick']\n", None)
    assert re.fullmatch(r"\.venv/bin/python \S+/toy\.py --quick", found.command)
    assert said == ["toy: one of two"]


def test_failed_benchmark_keeps_its_answer_and_last_line(run_toy: RunToy) -> None:
    found = run_toy("print('an answer'); raise SystemExit('an event is lost')")
    assert (found.answer, found.failure) == ("an answer\n", "exit code 1: an event is lost")


def test_missed_goal_is_kept_and_does_not_count_as_failure(run_toy: RunToy) -> None:
    found = run_toy("import sys; print('a table'); print('not met: p99', file=sys.stderr); raise SystemExit(3)")
    assert (found.answer, found.failure, found.missed) == ("a table\n", None, "not met: p99")


def test_benchmark_that_meets_its_goals_misses_none(run_toy: RunToy) -> None:
    assert run_toy("import sys; print('one of two', file=sys.stderr)").missed is None


def test_missing_package_is_named_with_the_command_that_installs_it(run_toy: RunToy) -> None:
    failure = run_toy("import a_package_that_nobody_has").failure
    assert failure is not None
    assert "'a_package_that_nobody_has'" in failure
    assert "scripts/test" in failure


def test_settings_of_the_shell_are_ignored(run_toy: RunToy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERLOG_LOG_DIR", "/elsewhere")
    monkeypatch.setenv("ELASTICSEARCH_URL", "http://elsewhere.example")
    code = "import os; print([name for name in os.environ if name.startswith(('INFERLOG', 'ELASTIC'))])"
    assert run_toy(code).answer == "[]\n"


def test_hold_lock_rejects_second_run(tmp_path: Path) -> None:
    with (
        hold_lock(tmp_path / "lock"),
        pytest.raises(OperatorError, match="another scripts/bench"),
        hold_lock(tmp_path / "lock"),
    ):
        pass


def test_lock_is_released_after_a_run(tmp_path: Path) -> None:
    for _ in range(2):
        with hold_lock(tmp_path / "lock"):
            pass
