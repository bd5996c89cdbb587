"""One benchmark as a process: what it says is passed on, what it answers is kept, why it fails is told."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.run import Finding, alone, run
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
        return run("toy", [sys.executable, str(script), *options], said.append)

    return run_it


def test_the_answer_is_what_it_printed_and_progress_is_said(run_toy: RunToy, said: list[str]) -> None:
    found = run_toy("import sys; print('one of two', file=sys.stderr); print(sys.argv[1:])", "--quick")
    assert (found.answer, found.failure) == ("['--quick']\n", None)
    assert re.fullmatch(r"\.venv/bin/python \S+/toy\.py --quick", found.command)
    assert said == ["toy: one of two"]


def test_a_benchmark_that_finds_a_fault_has_its_last_words_for_a_reason_beside_its_answer(run_toy: RunToy) -> None:
    found = run_toy("print('an answer'); raise SystemExit('an event is lost')")
    assert (found.answer, found.failure) == ("an answer\n", "it ended with status 1: an event is lost")


def test_a_missed_goal_is_no_failure_and_is_kept_in_the_benchmark_s_words(run_toy: RunToy) -> None:
    found = run_toy("import sys; print('a table'); print('not met: p99', file=sys.stderr); raise SystemExit(3)")
    assert (found.answer, found.failure, found.missed) == ("a table\n", None, "not met: p99")


def test_a_benchmark_that_meets_its_goals_misses_none(run_toy: RunToy) -> None:
    assert run_toy("import sys; print('one of two', file=sys.stderr)").missed is None


def test_a_package_that_is_missing_is_named_with_what_brings_it(run_toy: RunToy) -> None:
    failure = run_toy("import a_package_that_nobody_has").failure
    assert failure is not None
    assert "'a_package_that_nobody_has'" in failure
    assert "scripts/test" in failure


def test_settings_of_the_shell_are_not_meant(run_toy: RunToy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERLOG_LOG_DIR", "/elsewhere")
    monkeypatch.setenv("ELASTICSEARCH_URL", "http://elsewhere.example")
    code = "import os; print([name for name in os.environ if name.startswith(('INFERLOG', 'ELASTIC'))])"
    assert run_toy(code).answer == "[]\n"


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    with (
        alone(tmp_path / "lock"),
        pytest.raises(OperatorError, match="another scripts/bench"),
        alone(tmp_path / "lock"),
    ):
        pass


def test_after_a_run_the_next_may_begin(tmp_path: Path) -> None:
    for _ in range(2):
        with alone(tmp_path / "lock"):
            pass
