"""``scripts/bench`` as a process."""

import json
import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support import commands
from tests.support.polling import wait_until


def test_the_benchmarks_are_listed_with_what_they_answer() -> None:
    printed = commands.run_module("benchmarks", "--list").stdout
    assert "shipper   How fast do files get into Elasticsearch" in printed
    assert printed.startswith("logging")


def test_an_unknown_benchmark_is_misuse() -> None:
    done = commands.run_module("benchmarks", "speed")
    assert done.returncode == 2
    assert "there is no benchmark 'speed'" in done.stderr


def test_two_forms_at_once_are_misuse() -> None:
    assert commands.run_module("benchmarks", "--json", "--markdown").returncode == 2


START_SECONDS = 60.0
"""That a command may take to have its benchmark run, on a machine that others use, too."""


@pytest.fixture(autouse=True)
def _lock_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a developer's own run of benchmarks, which keeps others away, stand in no test's way."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def measuring(pid: int) -> psutil.Process | None:
    """Return the benchmark that the command with this *pid* runs, once it runs."""
    for child in psutil.Process(pid).children():
        with suppress(psutil.Error):  # it ends just now, as git does, which is asked for the commit
            if "benchmarks.logging_cost" in " ".join(child.cmdline()):
                return child
    return None


def test_a_signal_ends_the_benchmark_too_and_says_what_was_not_done() -> None:
    with commands.begin_module("benchmarks", "logging", "panels", "--json") as process:
        benchmark = wait_until(lambda: measuring(process.pid), START_SECONDS, what="the benchmark's process")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["left_out"] == ["logging", "panels"]
    assert "not done: logging, panels" in err
    assert benchmark
    assert not benchmark.is_running()


def test_a_benchmark_does_not_outlive_a_command_that_is_killed() -> None:
    with commands.begin_module("benchmarks", "logging") as process:
        benchmark = wait_until(lambda: measuring(process.pid), START_SECONDS, what="the benchmark's process")
        process.kill()
        process.communicate()
    assert benchmark
    benchmark.wait(timeout=60)
