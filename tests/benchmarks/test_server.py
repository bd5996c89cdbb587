"""Compared services: each uses its own logging, and all give the same responses."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from benchmarks.chat_client import Connection, build_chat_request, send_requests
from benchmarks.server import is_negligible
from benchmarks.services import FILE, FORWARD, MODEL, PROMETHEUS, SERVICES, RunningService, run_services
from tests.benchmarks.benchmark_runs import run_benchmark
from tests.support.logfiles import Logs
from tests.support.polling import wait_until

REQUESTS = 5


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def services(directory: Path) -> Iterator[dict[str, RunningService]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")  # without a Fluentd: it is the receiver that counts
        with run_services(directory) as running:
            for service in running.values():
                asyncio.run(ask_some(service.url))
            yield running


async def ask_some(url: str) -> None:
    connection = await Connection.open(url)
    answers = await send_requests([connection], build_chat_request(f"{MODEL}:instant", stream=False), requests=REQUESTS)
    assert len(answers) == REQUESTS
    connection.close()


def test_the_service_with_prometheus_counts_and_times_requests(services: dict[str, RunningService]) -> None:
    metrics = httpx.get(f"{services[PROMETHEUS].url}/metrics/", verify=False).text
    labels = 'method="POST",route="/v1/chat/completions"'
    assert f'http_requests_total{{{labels},status="200"}} {REQUESTS}.0' in metrics
    assert f"http_request_duration_seconds_count{{{labels}}} {REQUESTS}.0" in metrics


def test_the_service_with_files_writes_an_event_a_request(services: dict[str, RunningService], directory: Path) -> None:
    assert len(Logs(directory / FILE / "logs").events) == REQUESTS


def test_only_the_service_with_files_writes_any(services: dict[str, RunningService], directory: Path) -> None:
    assert {path.parts[-3] for path in directory.glob("*/logs/*.jsonl")} == {FILE}


def test_events_of_the_forward_sink_arrive(services: dict[str, RunningService], directory: Path) -> None:
    assert set(services) == set(SERVICES)
    asyncio.run(ask_some(services[FORWARD].url))

    def received() -> int:
        found = re.findall(r"^messages so far (\d+)", (directory / "receiver.log").read_text(), re.MULTILINE)
        return int(found[-1]) if found else 0

    wait_until(lambda: received() >= 2 * REQUESTS, what="as many messages as requests")


def test_each_load_is_compared_over_all_rounds() -> None:
    report = run_benchmark("server", "--rounds", 2, "--share", 0.01)
    assert not report["goals"], "two rounds are too few to judge by"
    for comparison in report["figures"]["comparisons"]:
        assert set(comparison["medians"]) == set(SERVICES)
        assert all(len(added) == 2 for added in comparison["added_percent"].values())


@pytest.mark.parametrize(
    ("added_percent", "verdict"),
    [([0.5, 0.6, 0.7, 0.8], True), ([-3.0, -1.0, 2.0, 4.0], True), ([2.0, 2.5, 3.0, 3.5], False)],
)
def test_difference_counts_when_large_in_most_rounds(added_percent: list[float], verdict: bool) -> None:
    assert is_negligible(added_percent) is verdict
