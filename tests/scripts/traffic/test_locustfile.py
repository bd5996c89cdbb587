"""Whole runs of Locust as processes, against services on real sockets."""

import itertools
import json
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import urllib3

from inferlog_traffic import arrivals
from inferlog_traffic.exchange import ROUTE
from tests.support import locust_runs
from tests.support.chat_server import MODEL, RunningServer, run_server
from tests.support.locust_runs import LocustRun, get_intended_at
from tests.support.polling import wait_until

RATE = 25
USER_RATE = 0.6
SECONDS = 8
SEED = 3
BURST = 4
ROUNDED_SECONDS = 1e-5
CALLERS = {"steady", "stream", "burst", "canary", "malformed", "leaving", "long"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The example service with the simulated backend."""
    with run_server(tmp_path_factory.mktemp("server"), backend="simulated") as server:
        yield server


@pytest.fixture(scope="module")
def run(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> LocustRun:
    """A few hundred requests of all classes."""
    options = ("--rate", RATE, "--user-rate", USER_RATE, "--duration", SECONDS, "--seed", SEED, "--burst-size", BURST)
    return locust_runs.run(tmp_path_factory.mktemp("run"), "--host", server.url, "--run-id", "whole", *options)


def test_headless_run_ends_by_itself_with_statistics_by_caller_and_route(run: LocustRun) -> None:
    assert run.returncode == 0, run.output
    assert run.requests == len(run.records) > 0.6 * RATE * SECONDS
    for caller in CALLERS:
        assert f"{caller:<10} {ROUTE} " in run.output
    _, _, first_tokens = run.output.partition("Time to the first token")
    assert f"stream     {ROUTE}" in first_tokens
    assert f"steady     {ROUTE}" not in first_tokens


def test_records_and_events_match_one_to_one(run: LocustRun, server: RunningServer) -> None:
    ids = {record["correlation_id"] for record in run.records}
    assert len(ids) == len(run.records)

    def events() -> dict[str, dict[str, Any]]:
        found = [event for event in server.logs.events if event["correlation_id"].startswith("whole-")]
        return {event["correlation_id"]: event for event in found} if len(found) >= len(ids) else {}

    by_id = wait_until(events, what="the events")
    assert by_id.keys() == ids
    for record in run.records:
        event = by_id[record["correlation_id"]]
        assert event["http"]["route"] == record["route"] == ROUTE
        if record["caller"] == "canary":
            assert event["model_version"] == "v2"
        # Both use the system clock, which may be adjusted by this much during the run.
        assert get_start(event) >= get_intended_at(record) + record["sent_after_seconds"] - 0.002
        if record["outcome"] != "left":
            assert event["http"]["response"]["status_code"] == record["status_code"]
        if record["outcome"] == "answered":
            # The client's time contains the wait and the work of the model, however busy the machine is.
            within_seconds = event["queue_seconds"] + event["model_latency_seconds"]
            assert within_seconds <= record["ended_after_seconds"] - record["sent_after_seconds"] + ROUNDED_SECONDS


def get_start(event: dict[str, Any]) -> float:
    """Return the arrival time of the request of *event*, in seconds of Unix time."""
    return datetime.fromisoformat(event["@timestamp"]).timestamp() - float(event["latency_seconds"])


def test_every_class_of_callers_has_its_behaviour(run: LocustRun) -> None:
    outcomes = {caller: {record["outcome"] for record in run.find_records(caller)} for caller in CALLERS}
    assert outcomes == {
        "steady": {"answered"},
        "stream": {"answered"},
        "burst": {"answered"},
        "canary": {"answered"},
        "malformed": {"refused"},
        "leaving": {"left"},
        "long": {"answered"},
    }
    assert all(400 <= record["status_code"] < 500 for record in run.find_records("malformed"))
    assert {record["model"] for record in run.find_records("canary")} == {f"{MODEL}:v2"}
    assert all(record["first_token_after_seconds"] is None for record in run.find_records("steady"))
    for record in run.find_records("stream"):
        assert record["sent_after_seconds"] < record["first_token_after_seconds"] <= record["ended_after_seconds"]
    of_bursts = Counter(map(get_caller_name, run.find_records("burst")))
    assert all(count % BURST == 0 for count in of_bursts.values()), "a burst is sent as a whole"


def get_caller_name(record: dict[str, Any]) -> str:
    """Return the name of the caller, which is the part of the correlation id between run id and request number."""
    name: str = record["correlation_id"].removeprefix("whole-").rpartition("-")[0]
    return name


def test_run_sends_every_request_that_is_due(run: LocustRun) -> None:
    """Users start with a short delay, and the shape checks once per second for the end of the run."""
    names = {get_caller_name(record) for record in run.records}
    assert len(names) > 0.8 * RATE / USER_RATE
    for name in names:
        if name.startswith(("steady", "stream")):
            moments = arrivals.draw_independent(USER_RATE, Random(f"{SEED}/{name}/when"))
            due = sum(1 for _ in itertools.takewhile(lambda moment: moment < SECONDS - 1.5, moments))
            assert sum(get_caller_name(record) == name for record in run.records) >= due


def test_run_ends_after_the_maximum_number_of_requests(server: RunningServer, tmp_path: Path) -> None:
    run = locust_runs.run(tmp_path, "--host", server.url, "--rate", 20, "--duration", 60, "--requests", 30)
    assert run.returncode == 0, run.output
    assert run.requests == len(run.records) == 30


def test_several_processes_share_the_load_and_one_file(server: RunningServer, tmp_path: Path) -> None:
    run = locust_runs.run(tmp_path, "--host", server.url, "--rate", 20, "--duration", 4, "--processes", 2)
    assert run.returncode == 0, run.output
    assert run.requests == len(run.records) == len({record["correlation_id"] for record in run.records})
    workers = {record["correlation_id"].split("-")[-3] for record in run.records}
    assert workers == {"0", "1"}
    assert run.output.count("Time to the first token") == 1, "the master's, about all"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--prompts", "missing.txt"), "missing.txt cannot be read as prompts"),
        (("--run-id", "a b"), "--run-id is 'a b'; expected 1 to 32 of"),
    ],
)
def test_invalid_option_is_reported_in_one_sentence_before_the_first_request(
    tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    run = locust_runs.run(tmp_path, *options)
    assert run.returncode == 1
    assert words in run.output.splitlines()[-1]
    assert run.records == []


def test_web_page_starts_several_runs_with_distinct_ids(
    server: RunningServer, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    options = ("--host", server.url, "--web-host", "127.0.0.1", "--web-port", port, "--run-id", "page")

    def state() -> str:
        try:
            return str(urllib3.request("GET", f"{page}/stats/requests", retries=False).json()["state"])
        except urllib3.exceptions.HTTPError:
            return "not there"

    with locust_runs.begin(tmp_path, *options) as process:
        wait_until(lambda: state() == "ready", 60, "the page")
        shown = urllib3.request("GET", page).data.decode()
        for _ in range(2):
            fields = {"curve": "ramp", "rate": "12", "duration": "2", "records": "elsewhere.jsonl", "host": server.url}
            answer = urllib3.request("POST", f"{page}/swarm", fields=fields).json()
            assert answer["success"], answer
            wait_until(lambda: state() in {"running", "spawning"}, what="the begin of the run")
            wait_until(lambda: state() == "stopped", 30, "the end of the run")
        process.send_signal(signal.SIGINT)
        run = locust_runs.finish(process, tmp_path)
    assert '"curve"' in shown
    assert '"records"' not in shown, "who may use the page may not choose files of the machine"
    assert not (tmp_path / "elsewhere.jsonl").exists()
    ids = [record["correlation_id"] for record in run.records]
    assert len(set(ids)) == len(ids)
    assert {id_.split("-")[0] for id_ in ids} == {"page", "page.2"}


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Returns a function that finds a free port."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find


def test_records_are_lines_of_json(run: LocustRun) -> None:
    assert set(run.records[0]) == {
        "correlation_id",
        "caller",
        "route",
        "model",
        "intended_at",
        "sent_after_seconds",
        "first_token_after_seconds",
        "ended_after_seconds",
        "status_code",
        "outcome",
    }
    assert json.loads(json.dumps(run.records)) == run.records


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ("--rate", 0.2),
            {
                "SteadyChat": 8,
                "StreamingChat": 6,
                "BurstChat": 2,
                "CanaryChat": 2,
                "MalformedChat": 1,
                "LeavingChat": 1,
                "LongChat": 1,
            },
        ),
        (("--rate", 1, "SteadyChat", "CanaryChat"), {"SteadyChat": 8, "CanaryChat": 2}),
    ],
)
def test_all_classes_have_callers_at_any_rate(
    options: tuple[object, ...], expected: dict[str, int], tmp_path: Path
) -> None:
    nobody = "http://127.0.0.1:9"
    output = locust_runs.run(tmp_path, "--host", nobody, "--duration", 2, "--exit-code-on-error", 0, *options).output
    users = output.partition("All users spawned: ")[2].partition(" (")[0]
    assert json.loads(users) == expected


def test_error_escapes_control_characters_of_a_path(tmp_path: Path) -> None:
    run = locust_runs.run(tmp_path, "--prompts", "gone\x1b[31m\n.txt")
    assert run.returncode == 1
    assert r"locust: gone\x1b[31m\n.txt cannot be read as prompts" in run.output
    assert "\x1b[31m" not in run.output


def test_pipe_for_records_is_rejected_in_one_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    run = locust_runs.run(tmp_path, "--records", "pipe")
    assert run.returncode == 1
    assert run.output.splitlines()[-1].startswith("locust: ")
    assert "pipe" in run.output.splitlines()[-1]


def test_recorded_run_is_not_repeated_if_it_is_to_be_skipped(tmp_path: Path) -> None:
    nobody = ("--host", "http://127.0.0.1:9", "--duration", 1, "--exit-code-on-error", 0)
    once = (*nobody, "--records", "once.jsonl", "--skip-if-recorded")
    locust_runs.run(tmp_path, *once)
    records = (tmp_path / "once.jsonl").read_bytes()
    assert records
    run = locust_runs.run(tmp_path, *once)
    assert run.returncode == 0
    assert "nothing is sent" in run.output
    assert (tmp_path / "once.jsonl").read_bytes() == records
