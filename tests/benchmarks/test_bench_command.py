"""``scripts/bench`` as a process."""

import json
import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from benchmarks import benchmark_list
from tests.support import commands
from tests.support.polling import wait_until


def test_bench_lists_benchmarks_with_their_questions() -> None:
    printed = commands.run_module("benchmarks", "--list").stdout
    lines = printed.splitlines()
    assert lines[0].startswith("logging")
    questions = {benchmark.name: benchmark.question for benchmark in benchmark_list.BENCHMARKS}
    assert dict(line.split(maxsplit=1) for line in lines) == questions


def test_bench_rejects_unknown_benchmark() -> None:
    done = commands.run_module("benchmarks", "speed")
    assert done.returncode == 2
    assert "unknown benchmark 'speed'" in done.stderr


def test_bench_rejects_two_output_formats() -> None:
    assert commands.run_module("benchmarks", "--json", "--markdown").returncode == 2


@pytest.mark.parametrize("other", ["disk", "--quick"])
def test_bench_rejects_page_with_names_or_small_sizes(other: str) -> None:
    assert commands.run_module("benchmarks", "--page", other).returncode == 2


START_SECONDS = 60.0
"""Timeout for the start of a benchmark on a shared machine."""


@pytest.fixture(autouse=True)
def _lock_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a separate lock, because a developer's own run may hold the usual one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def find_measuring_process(pid: int) -> psutil.Process | None:
    """Wait for and return the benchmark process of the command with this *pid*."""
    for child in psutil.Process(pid).children():
        with suppress(psutil.Error):  # it ends just now, as git does, which is asked for the commit
            if "benchmarks.logging_cost" in " ".join(child.cmdline()):
                return child
    return None


def test_signal_ends_benchmark_and_names_the_rest() -> None:
    with commands.begin_module("benchmarks", "logging", "panels", "--json") as process:
        benchmark = wait_until(
            lambda: find_measuring_process(process.pid), START_SECONDS, what="the benchmark's process"
        )
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["left_out"] == ["logging", "panels"]
    assert "not done: logging, panels" in err
    assert benchmark
    assert not benchmark.is_running()


def test_benchmark_ends_when_command_is_killed() -> None:
    with commands.begin_module("benchmarks", "logging") as process:
        benchmark = wait_until(
            lambda: find_measuring_process(process.pid), START_SECONDS, what="the benchmark's process"
        )
        process.kill()
        process.communicate()
    assert benchmark
    benchmark.wait(timeout=60)
