"""The whole way: callers, the service with two workers, the shipper, the engine; then both sides."""

import itertools
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson
import pytest
from chat_server import MODEL, running_server
from commands import run
from indexing import fresh
from shipping import ship_command

from inferlog_ops.cluster import Cluster
from inferlog_traffic import bodies
from inferlog_traffic.exchange import ROUTE, Answer, Request, exchange, new_pool
from inferlog_traffic.records import Record, RecordFile

pytestmark = pytest.mark.alone

REQUESTS = 20_000
# Each waits for its answer before it asks again, other than Locust's: with a schedule they would, on a machine that
# others use, too, build up a queue of their own making. At 2.7 ms a request, so many keep two processors busy by half
# to two thirds.
CALLERS = 200

# As slow as language models are: two percent of the p99 are then some 40 ms. With faster ones it would be measured how
# long requests wait for a processor that others use, too: up to 5 ms where two more programs always want one.
SPEED = {"first_token_median_seconds": 0.4, "token_median_seconds": 0.005}
VERSIONS = [
    {"name": "v1", "share": 80, "simulated": SPEED},
    {"name": "v2", "share": 20, "simulated": SPEED | {"first_token_median_seconds": 0.6, "failure_share": 0.02}},
]


@contextmanager
def shipper(cluster: Cluster, logs: Path, state: Path) -> Iterator[None]:
    """Ship *logs*, by the command, to the end of the block."""
    where = ("--url", cluster.url, "--namespace", cluster.namespace)
    with (state.parent / "shipper.log").open("w") as said:
        process = subprocess.Popen(
            ship_command("--from", logs, "--state", state, *where), stdout=said, stderr=subprocess.STDOUT
        )
    with process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def request(number: int) -> Request:
    """Return one of all kinds: whole answers and streams, of any version or one, some malformed, some not awaited."""
    correlation_id, prompt = f"many-{number}", "Name three colours."
    if number % 20 == 3:
        wrong = bodies.malformed(MODEL)
        body = wrong[number // 20 % len(wrong)]
        return Request(correlation_id=correlation_id, caller="malformed", body=body, model=None)
    leaves, streamed = number % 20 == 7, number % 2 == 1
    model = f"{MODEL}:v2" if number % 10 == 0 else MODEL
    body = bodies.chat(model, bodies.LONG_STORY if leaves else prompt, stream=streamed)
    return Request(
        correlation_id=correlation_id, caller="many", body=body, model=model, streamed=streamed, leaves=leaves
    )


def send_all(url: str, path: Path) -> None:
    """Send the requests and record each, by Locust's callers' own code."""
    pool, records, numbers = new_pool(answer_timeout_seconds=120), RecordFile(path), itertools.count()

    def call(_: int) -> None:
        while (number := next(numbers)) < REQUESTS:
            sent, answer = request(number), Answer()
            due_at, intended_at = perf_counter(), datetime.now(UTC)
            exchange(pool, url, sent, answer)
            assert answer.ended_at
            records.append(
                Record(
                    correlation_id=sent.correlation_id,
                    caller=sent.caller,
                    route=ROUTE,
                    model=sent.model,
                    intended_at=intended_at,
                    sent_after_seconds=0.0,
                    first_token_after_seconds=None,
                    ended_after_seconds=answer.ended_at - due_at,
                    status_code=answer.status_code,
                    outcome=answer.outcome,
                )
            )

    with ThreadPoolExecutor(CALLERS) as threads:
        list(threads.map(call, range(CALLERS)))
    records.close()


@pytest.fixture(scope="module")
def said(engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command says to a program of the whole run."""
    place, cluster = tmp_path_factory.mktemp("many"), fresh(engine_url)
    with (
        running_server(place / "server", backend="simulated", workers=2, versions=VERSIONS) as server,
        shipper(cluster, server.logs.directory, place / "state"),
    ):
        send_all(server.url, place / "records.jsonl")
        where = ("--url", cluster.url, "--namespace", cluster.namespace)
        done = run("reconcile", place / "records.jsonl", *where, "--json")
    reconciled: dict[str, Any] = orjson.loads(done.stdout)
    return reconciled


@pytest.fixture
def whole(said: dict[str, Any]) -> dict[str, Any]:
    """What is known of the latencies of all requests."""
    (whole,) = (each for each in said["latencies"] if each["group"] == "http.route")
    assert whole["requests"] == REQUESTS
    figures: dict[str, Any] = whole
    return figures


@pytest.mark.timeout(600)
def test_not_one_of_twenty_thousand_is_lost_or_counted_twice(said: dict[str, Any]) -> None:
    assert (said["sent"], said["with_event"]) == (REQUESTS, REQUESTS), said
    for what in ("lost", "duplicated", "surplus_events", "events_without_request", "different_ends"):
        assert said[what] == 0, said
    assert said["outcomes"]["refused"] == REQUESTS // 20
    assert said["outcomes"]["left"] > 0
    assert (said["outcomes"]["unanswered"], said["outcomes"]["broken"]) == (0, 0)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("percentile", ["p50", "p95", "p99"])
def test_clients_and_dashboards_see_the_same_latency(percentile: str, whole: dict[str, Any]) -> None:
    """Of the three, the p50 is the strictest about a clock that starts late: two percent of it are a third as long."""
    assert whole[percentile]["agrees"], whole


@pytest.mark.timeout(600)
def test_dashboards_compute_what_the_events_say(whole: dict[str, Any]) -> None:
    """The query's percentile is an estimate, which is off by less than a percent."""
    assert whole["p99"]["dashboard_seconds"] == pytest.approx(whole["p99"]["events_seconds"], rel=0.01)


@pytest.mark.timeout(600)
def test_a_request_spends_time_before_the_service_as_well(whole: dict[str, Any]) -> None:
    p99 = whole["p99"]
    assert 0 < p99["before_service_seconds"] < p99["client_from_sent_seconds"], whole
