"""Long run: its goals, its counts, and a complete run of its command."""

import argparse
import functools
import json
import operator
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import elasticsearch
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import long_run
from benchmarks.benchmark_report import exit_if_missed, show_report
from benchmarks.every_event import count_findings
from benchmarks.long_run_goals import judge
from benchmarks.long_run_polls import add_sample
from benchmarks.long_run_report import build_report
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home
from inferlog_ops.engine import control

BENCHMARK = "benchmarks.long_run"
RUN = "run1234"
Event = tuple[str, str, int, str]


def build_sample(number: int) -> dict[str, Any]:
    process = {
        "resident_bytes": 60e6 + number % 3 * 1e5,
        "private_bytes": 240e6,
        "proportional_bytes": 45e6,
        "open_files": 20,
        "threads": 3,
        "cores": 0.1,
    }
    return {
        "after_seconds": number * 10.0,
        "load_average": 2.0,
        "machine_cores": 1.5,
        "client": {"answered": number * 5000, "p50_seconds": 0.01, "p99_seconds": 0.02},
        "processes": {name: dict(process) for name in ("engine", "shipper", "client", "worker 1", "worker 2")},
        "heap": {"live_bytes": 40_000_000 if number in {11, 12, 95, 96} else None, "committed_bytes": 2e8},
        "found": number * 5000,
        "lag_p50_seconds": 1.0,
        "lag_p99_seconds": 2.0,
        "probe_look_seconds": 0.02,
        "probe_failures": number // 50,
        "log_files": 5 + number % 3,
        "log_files_begun": number,
        "log_bytes": 4e7,
        "state_files": 5,
        "state_bytes": 2000,
        "index_bytes": number * 1e6,
        "index_segments": 9,
    }


def build_good_result() -> dict[str, Any]:
    return {
        "began": "2026-11-23T12:00:00+00:00",
        "machine": "2 cores",
        "seconds": 1000.0,
        "rate": 500.0,
        "workers": 2,
        "sent": {"sent": 500_000, "answered": 500_000, "failed": 0, "why": None},
        "findings": {"lost": 0, "duplicated": 0, "unexpected": 0},
        "lag": {"events": 500_000, "p50_seconds": 1.0, "p99_seconds": 2.0},
        "samples": [build_sample(number) for number in range(100)],
        "failed_looks": [],
    }


def list_broken_promises(result: dict[str, Any]) -> list[str]:
    return [goal.what for goal in judge(result) if not goal.met]


def test_good_run_meets_every_goal() -> None:
    assert list_broken_promises(build_good_result()) == []


def leak(samples: list[dict[str, Any]], *path: str) -> None:
    """Let a figure grow during the whole run, by a fifth or to twice its size if it varies."""
    for number, each in enumerate(samples):
        *outer, last = path
        figures = functools.reduce(operator.getitem, outer, each)
        if figures[last] is not None:
            figures[last] *= 1 + number / len(samples) * (0.2 if last in {"private_bytes", "live_bytes"} else 1.0)


FAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "requests answered": lambda result: result["sent"].update(answered=499_999),
    "pace kept": lambda result: result["sent"].update(sent=490_000, answered=490_000),
    "events lost": lambda result: result["findings"].update(lost=1),
    "events duplicated": lambda result: result["findings"].update(duplicated=1),
    "events of no request": lambda result: result["findings"].update(unexpected=1),
    "searchable, p99": lambda result: result["lag"].update(p99_seconds=5.1),
    "searchable, events": lambda result: result["lag"].update(events=499_999),
    "polls that succeeded": lambda result: result["failed_looks"].extend([{"after_seconds": 7.0, "why": "x"}] * 12),
    "shipper: memory": lambda result: leak(result["samples"], "processes", "shipper", "private_bytes"),
    "worker 2: memory": lambda result: leak(result["samples"], "processes", "worker 2", "private_bytes"),
    "engine: live heap": lambda result: leak(result["samples"], "heap", "live_bytes"),
    "engine: memory outside": lambda result: leak(result["samples"], "processes", "engine", "private_bytes"),
    "log files, most": lambda result: leak(result["samples"], "log_files"),
    "bytes of log files": lambda result: leak(result["samples"], "log_bytes"),
    "bytes of state": lambda result: leak(result["samples"], "state_bytes"),
    "worker 1: open files": lambda result: leak(result["samples"], "processes", "worker 1", "open_files"),
    "engine: threads": lambda result: leak(result["samples"], "processes", "engine", "threads"),
}


@pytest.mark.parametrize("promise", FAULTS)
def test_each_fault_misses_its_goal_and_no_other(promise: str) -> None:
    result = build_good_result()
    FAULTS[promise](result)
    (broken,) = list_broken_promises(result)
    assert promise in broken


def test_file_cache_does_not_count_as_growth() -> None:
    result = build_good_result()
    for each in result["samples"][60:]:
        each["processes"]["worker 1"]["resident_bytes"] *= 0.8
    assert list_broken_promises(result) == []


def test_lag_goal_is_missed_when_no_event_is_found() -> None:
    result = build_good_result()
    result["lag"] = {"events": 0, "p50_seconds": None, "p99_seconds": None}
    assert any("searchable" in promise for promise in list_broken_promises(result))


def test_growth_is_not_judged_when_run_is_too_short() -> None:
    result = build_good_result()
    leak(result["samples"], "processes", "shipper", "private_bytes")
    result["seconds"], result["rate"] = 60.0, 500_000 / 60
    assert list_broken_promises(result) == []


def test_page_shows_failure(capsys: pytest.CaptureFixture[str]) -> None:
    result = build_good_result()
    result["findings"]["lost"] = 7
    report = build_report(result)
    show_report(report, argparse.Namespace(json=False, markdown=True))
    text = capsys.readouterr().out
    (line,) = [line for line in text.splitlines() if line.endswith("| no |")]
    assert line == "| events lost | 0 | 7 | no |"
    (course,) = [line for line in text.splitlines() if line.startswith("| worker 1: resident |")]
    assert course.count("60.10") == 10
    assert "| failed polls so far | 0 | 0 | 0 | 0 | 0 | 1 | 1 | 1 | 1 | 1 |" in text
    with pytest.raises(SystemExit, match="3"):
        exit_if_missed(report)
    assert "events lost: 7, wanted 0" in capsys.readouterr().err


def remove_late_collections(result: dict[str, Any]) -> None:
    for each in result["samples"][50:]:
        each["heap"]["live_bytes"] = None


def test_heap_without_late_collection_is_not_flat() -> None:
    result = build_good_result()
    remove_late_collections(result)
    (missed,) = (goal for goal in judge(result) if not goal.met)
    assert (missed.what, missed.found) == ("engine: live heap", "collected 2 times early and 0 times late")


@pytest.mark.parametrize(
    "failure",
    [
        psutil.NoSuchProcess(77),
        subprocess.TimeoutExpired(["jcmd"], 60),
        subprocess.CalledProcessError(1, ["jcmd"]),
        FileNotFoundError(2, "No such file", "/proc/77/smaps_rollup"),
        elasticsearch.ConnectionTimeout("the statistics took too long"),
        KeyError("Rss"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_failed_poll_is_reported_and_counted(failure: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def poll(after_seconds: float) -> dict[str, Any]:
        if after_seconds == 20.0:
            raise failure
        return build_sample(round(after_seconds / 10))

    result = build_good_result()
    result["samples"] = []
    for after_seconds in (10.0, 20.0, 30.0):
        add_sample(result, poll, after_seconds)
    assert [each["after_seconds"] for each in result["samples"]] == [10.0, 30.0]
    assert f"20 s: this poll failed: {type(failure).__name__}" in capsys.readouterr().err
    assert any("1 polls failed, the last after 20 s" in remark for remark in build_report(result).remarks)


def test_ended_process_ends_the_run() -> None:
    def poll(_: float) -> dict[str, Any]:
        raise OperatorError("the shipper ended")

    with pytest.raises(OperatorError, match="the shipper ended"):
        add_sample(build_good_result(), poll, 10.0)


def test_run_is_reported_when_every_poll_failed() -> None:
    result = build_good_result()
    result["failed_looks"] = [{"after_seconds": 10.0, "why": "the statistics took too long"}]
    result["samples"] = []
    assert "polls that succeeded" in [goal.what for goal in build_report(result).goals if not goal.met]


@pytest.mark.parametrize("reason", [KeyboardInterrupt(), OperatorError("the shipper ended with status 7")])
def test_run_that_ends_early_shows_its_samples(
    reason: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_load(_options: object, _home: object, figures: dict[str, Any]) -> dict[str, Any]:
        figures["samples"] += [build_sample(number) for number in range(1, 4)]
        raise reason

    monkeypatch.setattr(long_run, "run_load", run_load)
    monkeypatch.setattr(sys, "argv", ["long_run.py", "--json"])
    with pytest.raises(type(reason)):
        long_run.main()
    shown = json.loads(capsys.readouterr().out)
    assert [each["after_seconds"] for each in shown["figures"]["samples"]] == [10, 20, 30]
    assert shown["goals"] == []
    words = str(reason) or "KeyboardInterrupt"
    assert shown["remarks"][-1] == f"It ended early, after 30 of 3600 s, and is not judged: {words}"
    assert build_report(shown["figures"]).remarks == shown["remarks"]


def test_run_that_meets_every_goal_exits_with_0() -> None:
    exit_if_missed(build_report(build_good_result()))


def build_events(requests: int) -> list[Event]:
    """Events of two instances that share the requests."""
    return [(f"id{number}", f"i{number % 2}", number // 2, f"{RUN}-{number}") for number in range(requests)]


@given(st.randoms(use_true_random=False), st.integers(min_value=1, max_value=60))
def test_events_in_any_order_are_neither_lost_nor_doubled(order: Any, requests: int) -> None:
    shuffled = build_events(requests)
    order.shuffle(shuffled)
    found = count_findings(iter(shuffled), RUN, requests)
    assert (found.events, found.lost, found.duplicated, found.unexpected) == (requests, 0, 0, 0)


@given(st.sets(st.integers(min_value=0, max_value=49), max_size=20), st.lists(st.integers(50, 99), max_size=20))
def test_each_missing_and_each_repeated_event_counts(missing: set[int], repeated: list[int]) -> None:
    all_events = build_events(100)
    there = [event for number, event in enumerate(all_events) if number not in missing]
    found = count_findings(iter([*there, *(all_events[number] for number in repeated)]), RUN, 100)
    assert found.lost == found.without_event == found.missing_numbers == len(missing)
    assert found.duplicated == found.with_several == found.doubled_ids == found.doubled_numbers == len(repeated)


def test_a_request_whose_event_has_another_s_number_is_lost_all_the_same() -> None:
    first, second = build_events(4), build_events(4)[:3]
    assert count_findings(iter([*first, ("id9", "i9", 0, "other-1")]), RUN, 4).unexpected == 1
    assert count_findings(iter(second), RUN, 4).lost == 1


def test_the_first_number_of_an_instance_counts_as_missing() -> None:
    assert count_findings(iter(build_events(4)[2:]), RUN, 4).missing_numbers == 2


def test_long_run_finds_all_sent_events(home: Home, tmp_path: Path) -> None:
    (tmp_path / "engine").symlink_to(home.engine)
    command = [sys.executable, "-m", BENCHMARK, "--seconds", "3", "--rate", "40", "--home", str(tmp_path), "--json"]
    ran = subprocess.run(command, capture_output=True, timeout=120, check=False)
    report = json.loads(ran.stdout)
    result = report["figures"]
    sent = result["sent"]["sent"]
    assert 60 < sent <= 120, "fewer, where others kept the client from its processor"
    assert result["findings"] == {
        "events": sent,
        "without_event": 0,
        "with_several": 0,
        "doubled_ids": 0,
        "missing_numbers": 0,
        "doubled_numbers": 0,
        "unexpected": 0,
        "lost": 0,
        "duplicated": 0,
    }
    assert result["lag"]["events"] == sent
    assert 0 < result["lag"]["p50_seconds"] <= result["lag"]["p99_seconds"]
    assert any((sample["heap"]["live_bytes"] or 0) > 10e6 for sample in result["samples"])
    assert set(result["samples"][0]["processes"]) == {"engine", "shipper", "client", "worker 1", "worker 2"}
    assert ran.returncode == (0 if all(goal["met"] for goal in report["goals"]) else 3), ran.stderr


def test_interrupted_run_prints_samples_and_leaves_engine_running(home: Home, tmp_path: Path) -> None:
    (tmp_path / "engine").symlink_to(home.engine)
    command = [sys.executable, "-m", BENCHMARK, "--seconds", "40", "--rate", "20", "--home", str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        looks = 0
        while looks < 2:
            looks += " answered, " in process.stderr.readline()
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    figures = json.loads(out)["figures"]
    assert len(figures["samples"]) >= 2
    assert figures["ended_early"] == "KeyboardInterrupt"
    assert control.find_running_url(home.engine)


def test_long_run_rejects_home_with_log_files(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    command = [sys.executable, "-m", BENCHMARK, "--seconds", "1", "--home", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert b"expected a home without log files" in ran.stderr
