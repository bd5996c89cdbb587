"""``inferlog bench`` as a process."""

import json
import signal

import commands
import psutil
from polling import wait_until


def test_the_benchmarks_are_listed_with_what_they_answer() -> None:
    printed = commands.run("bench", "--list").stdout
    assert "shipper   How fast do files get into Elasticsearch" in printed
    assert printed.startswith("logging")


def test_an_unknown_benchmark_is_misuse() -> None:
    done = commands.run("bench", "speed")
    assert done.returncode == 2
    assert "there is no benchmark 'speed'" in done.stderr


def test_two_forms_at_once_are_misuse() -> None:
    assert commands.run("bench", "--json", "--markdown").returncode == 2


def measuring(pid: int) -> list[psutil.Process]:
    """Return the benchmark that the command with this *pid* runs, once it runs."""
    return [child for child in psutil.Process(pid).children() if "logging_cost.py" in " ".join(child.cmdline())]


def test_a_signal_ends_the_benchmark_too_and_says_what_was_not_done() -> None:
    with commands.begin("bench", "logging", "panels", "--json") as process:

        def measuring() -> list[psutil.Process]:
            return [
                child for child in psutil.Process(process.pid).children() if "logging_cost.py" in child.cmdline()[1]
            ]

        (benchmark,) = wait_until(measuring, what="the benchmark's process")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["left_out"] == ["logging", "panels"]
    assert "not done: logging, panels" in err
    assert not benchmark.is_running()


def test_a_benchmark_does_not_outlive_a_command_that_is_killed() -> None:
    with commands.begin("bench", "logging") as process:
        (benchmark,) = wait_until(lambda: measuring(process.pid), what="the benchmark's process")
        process.kill()
        process.communicate()
    benchmark.wait(timeout=60)
