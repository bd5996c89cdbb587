"""Traffic of the demo, sent by a real Locust, and its pace."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.demo import traffic
from inferlog_ops.demo.traffic import Pace, measure_pace, send_traffic
from tests.support.chat_server import MODEL, run_server
from tests.support.polling import wait_until

NOBODY = "http://127.0.0.1:9"
QUICK = Pace(requests_per_second=80, of_a_caller=2)


def send(url: str, output: Path, requests: int) -> list[dict[str, Any]]:
    """Send requests, wait for their ends, and return their records."""
    with send_traffic(url, output, run_id="demo-1", model=MODEL, requests=requests, pace=QUICK) as running:
        wait_until(running.process.has_finished, 60, "the end of the requests")
        assert running.count_ended() == requests
    return [json.loads(line) for line in running.records.read_text().splitlines()]


def test_traffic_sends_the_given_number_with_a_few_of_each_kind(tmp_path: Path) -> None:
    with run_server(tmp_path / "server", backend="simulated") as server:
        records = send(server.url, tmp_path, 200)
    assert len({record["correlation_id"] for record in records}) == 200
    assert all(record["correlation_id"].startswith("demo-1-") for record in records)
    callers = Counter(record["caller"] for record in records)
    assert callers.keys() == {"steady", "stream", "canary", "malformed", "long", "leaving"}
    assert callers["steady"] + callers["stream"] > 100
    assert {record["outcome"] for record in records} == {"answered", "refused", "left"}


def test_traffic_records_unanswered_requests_without_a_service(tmp_path: Path) -> None:
    records = send(NOBODY, tmp_path, 5)
    assert [record["outcome"] for record in records] == ["unanswered"] * 5


def test_traffic_stops_sending_when_the_demo_ends(tmp_path: Path) -> None:
    pace = Pace(requests_per_second=5, of_a_caller=5)
    with send_traffic(NOBODY, tmp_path, run_id="demo-1", model=MODEL, requests=1_000, pace=pace) as running:
        wait_until(running.count_ended, 60, "a request")
    assert running.count_ended() < 1_000
    with pytest.raises(OperatorError, match="the traffic ended"):
        running.process.has_finished()


@pytest.mark.parametrize(("answer_seconds", "requests_per_second"), [(0.1, 1.0), (1.2, 0.5), (60.0, 0.25)])
def test_measure_pace_returns_a_sustainable_pace(
    answer_seconds: float, requests_per_second: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "perf_counter", iter([0.0, answer_seconds]).__next__)
    with run_server(tmp_path / "server", backend="simulated") as server:
        pace = measure_pace(server.url, MODEL)
    assert pace.requests_per_second == pytest.approx(requests_per_second)
    assert pace.of_a_caller == 0, "as many callers as it takes for each kind of them"


def test_measure_pace_fails_when_the_service_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=f"the server at {NOBODY} did not answer a first request"):
        measure_pace(NOBODY, MODEL)
    with (
        run_server(tmp_path / "server", backend="simulated") as server,
        pytest.raises(OperatorError, match="answered a first request with 404"),
    ):
        measure_pace(server.url, "no-such-model")


def test_send_traffic_names_the_package_when_locust_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with (
        pytest.raises(OperatorError, match="pip install locust"),
        send_traffic(NOBODY, tmp_path, run_id="demo-1", model=MODEL, requests=1, pace=QUICK),
    ):
        pass
