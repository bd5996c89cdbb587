"""The command as a user runs it, with the simulated backend; the server tests cover the real model."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import psutil
import pytest
import urllib3

from tests.support.logfiles import Logs
from tests.support.polling import wait_until

PRINTED = {
    "sent",
    "written",
    "shipped",
    "found",
    "duplicates",
    "dead_lettered",
    "setup_seconds",
    "versions",
    "reconciled",
}
OF_A_VERSION = {
    "requests",
    "errors",
    "error_rate",
    "requests_per_second",
    "p50_seconds",
    "p95_seconds",
    "p99_seconds",
    "time_to_first_token_p50_seconds",
    "input_tokens",
    "output_tokens",
}

QUICK = ("--requests", "40", "--port", "0")

_started: list["subprocess.Popen[str]"] = []


@pytest.fixture(autouse=True)
def _none_is_left_running() -> Iterator[None]:
    """Stop the demos of a failed test with a signal, so that their engines and services also stop."""
    yield
    for demo in _started:
        if demo.poll() is None:
            demo.terminate()
            demo.communicate(timeout=60)
    _started.clear()


def start(
    home: Path,
    *arguments: str,
    cluster_url: str | None = None,
    stdout: int | IO[str] = subprocess.PIPE,
    stderr: int | IO[str] = subprocess.PIPE,
) -> subprocess.Popen[str]:
    cluster = {"ELASTICSEARCH_URL": cluster_url} if cluster_url else {}
    command: Sequence[str] = [sys.executable, "-m", "inferlog_ops.cli.main", "demo", "--home", str(home)]
    demo = subprocess.Popen(
        [*command, "--backend", "simulated", *arguments],
        stdout=stdout,
        stderr=stderr,
        text=True,
        env=os.environ | cluster,
    )
    _started.append(demo)
    return demo


def test_once_with_json_prints_the_contract_and_counts_everything_once(tmp_path: Path) -> None:
    """Uses its own engine, which is stopped with every other process."""
    demo = start(tmp_path / "home", "--once", "--json", "--requests", "400", "--port", "0")
    printed, said = demo.communicate(timeout=240)
    assert demo.returncode == 0, said
    result = json.loads(printed)
    assert result.keys() >= PRINTED
    assert result["sent"] == result["written"] == result["shipped"] == result["found"] == 400
    assert (result["duplicates"], result["dead_lettered"]) == (0, 0)
    assert result["versions"].keys() == {"v1", "v2", "(none)"}
    assert all(figures.keys() >= OF_A_VERSION for figures in result["versions"].values())
    assert sum(figures["requests"] for figures in result["versions"].values()) == 400
    assert result["versions"]["v1"]["p50_seconds"] <= result["versions"]["v1"]["p99_seconds"]
    events = Logs(tmp_path / "home" / "logs").events
    assert len({event["client"]["id"] for event in events}) == 6, "one a class of callers"
    reconciled = result["reconciled"]
    assert (reconciled["sent"], reconciled["with_event"], reconciled["lost"]) == (400, 400, 0)
    assert [each["name"] for each in reconciled["latencies"]] == ["(none)", "v1", "v2", "/v1/chat/completions"]
    assert all(event["cost_usd"] > 0 for event in events if event["status"] == "success")
    assert find_processes(tmp_path) == []


def test_demo_ships_earlier_events_again_after_the_engine_data_were_deleted(tmp_path: Path) -> None:
    """The home still has log files and offsets, but the offsets belong to a deleted engine."""
    home = tmp_path / "home"
    for _ in range(2):
        demo = start(home, "--once", "--json", "--requests", "30", "--port", "0")
        printed, said = demo.communicate(timeout=240)
        assert demo.returncode == 0, said
        result = json.loads(printed)
        assert result["sent"] == result["shipped"] == result["found"] == 30
        shutil.rmtree(home / "engine" / "data", ignore_errors=True)
    said = (home / "output" / "shipper.log").read_text()
    assert "is another cluster than before" in said
    assert int(re.findall(r"shipped (\d+)", said)[-1]) >= 60, "the events of both runs"


def test_second_demo_on_a_home_is_rejected_and_ctrl_c_stops_the_first(
    tmp_path: Path, engine_url: str, namespace: str
) -> None:
    home = tmp_path / "home"
    printed = tmp_path / "printed"
    with printed.open("w") as stdout:
        first = start(
            home, "--requests", "40", "--port", "0", "--namespace", namespace, cluster_url=engine_url, stdout=stdout
        )
    try:
        wait_until(lambda: len(find_processes(home)) >= 3, timeout_seconds=60, what="server and shipper")
        second = start(home, "--once", "--namespace", namespace, cluster_url=engine_url)
        _, refusal = second.communicate(timeout=30)
        assert second.returncode == 1
        assert "is in use by another demo; stop it, or choose another directory with --home" in refusal
        wait_until(lambda: "found" in printed.read_text(), timeout_seconds=60, what="the table")
    finally:
        first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 0, said
    assert "40 requests sent = 40 events written = 40 shipped = 40 found" in printed.read_text()
    assert find_processes(tmp_path) == []


def test_dashboards_are_available_while_the_demo_runs(tmp_path: Path, engine_url: str, namespace: str) -> None:
    said = tmp_path / "said"
    with said.open("w") as stderr:
        demo = start(
            tmp_path / "home", *QUICK, "--namespace", namespace, cluster_url=engine_url, stdout=stderr, stderr=stderr
        )
    try:
        address = wait_until(lambda: re.search("Open (http://127.0.0.1:[0-9]+)", said.read_text()), timeout_seconds=90)
        assert urllib3.request("GET", address[1]).status == 200
        status = urllib3.request("GET", f"{address[1]}/api/status").json()
        assert (status["namespace"], status["problem"]) == (namespace, None)
        wait_until(
            lambda: "Ctrl-C stops everything" in said.read_text(), timeout_seconds=60, what="the end of the requests"
        )
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(60)
    assert demo.returncode == 0, said.read_text()
    assert find_processes(tmp_path) == []


def test_demo_continues_without_dashboards(tmp_path: Path, engine_url: str, namespace: str) -> None:
    (tmp_path / "home/output/preview.ready.json").mkdir(parents=True)
    said = tmp_path / "said"
    with said.open("w") as stderr:
        demo = start(
            tmp_path / "home", *QUICK, "--namespace", namespace, cluster_url=engine_url, stdout=stderr, stderr=stderr
        )
    try:
        wait_until(
            lambda: "Ctrl-C stops everything" in said.read_text(), timeout_seconds=90, what="the end of the requests"
        )
        assert "40 found" in said.read_text()
        assert (
            "The dashboards are not available: the preview ended with status 2: Invalid value for" in said.read_text()
        )
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(60)
    assert demo.returncode == 0


def test_killed_demo_leaves_no_process(tmp_path: Path, engine_url: str, namespace: str) -> None:
    demo = start(tmp_path / "home", "--port", "0", "--namespace", namespace, cluster_url=engine_url)
    wait_until(lambda: len(find_processes(tmp_path)) >= 3, timeout_seconds=60, what="server and shipper")
    demo.kill()
    demo.communicate()
    wait_until(lambda: not find_processes(tmp_path), timeout_seconds=60, what="the end of server and shipper")


def test_port_in_use_is_reported_in_one_sentence(tmp_path: Path, engine_url: str, namespace: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        demo = start(tmp_path, "--once", "--port", port, "--namespace", namespace, cluster_url=engine_url)
        _, said = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert port in said.splitlines()[-1]
    assert "Traceback" not in said


@pytest.mark.parametrize("arguments", [("--requests", "0"), ("--backend", "gpt"), ("--port", "99999")])
def test_demo_rejects_a_wrong_option_before_it_starts_anything(tmp_path: Path, arguments: tuple[str, str]) -> None:
    demo = start(tmp_path / "home", *arguments)
    demo.communicate(timeout=30)
    assert demo.returncode == 2
    assert not (tmp_path / "home").exists()


def find_processes(directory: Path) -> list[psutil.Process]:
    """Return the processes whose command line names *directory*."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if any(str(directory) in argument for argument in process.info["cmdline"] or ())
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
