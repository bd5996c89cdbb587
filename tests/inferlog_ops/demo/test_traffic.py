"""What the demo sends, by a real Locust, and at which pace."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.demo import traffic
from inferlog_ops.demo.traffic import Pace, pace_of, sending
from tests.support.chat_server import MODEL, running_server
from tests.support.polling import wait_until

NOBODY = "http://127.0.0.1:9"
QUICK = Pace(requests_per_second=80, of_a_caller=2)


def sent(url: str, output: Path, requests: int) -> list[dict[str, Any]]:
    """Send requests to their ends and return their records."""
    with sending(url, output, run_id="demo-1", model=MODEL, requests=requests, pace=QUICK) as running:
        wait_until(running.process.has_finished, 60, "the end of the requests")
        assert running.count_ended() == requests
    return [json.loads(line) for line in running.records.read_text().splitlines()]


def test_as_many_as_wanted_are_sent_mostly_good_ones_and_a_few_of_each_other_kind(tmp_path: Path) -> None:
    with running_server(tmp_path / "server", backend="simulated") as server:
        records = sent(server.url, tmp_path, 200)
    assert len({record["correlation_id"] for record in records}) == 200
    assert all(record["correlation_id"].startswith("demo-1-") for record in records)
    callers = Counter(record["caller"] for record in records)
    assert callers.keys() == {"steady", "stream", "canary", "malformed", "long", "leaving"}
    assert callers["steady"] + callers["stream"] > 100
    assert {record["outcome"] for record in records} == {"answered", "refused", "left"}


def test_a_service_that_is_not_there_gives_records_without_an_answer(tmp_path: Path) -> None:
    records = sent(NOBODY, tmp_path, 5)
    assert [record["outcome"] for record in records] == ["unanswered"] * 5


def test_what_is_not_sent_yet_is_not_sent_any_more_when_the_demo_ends(tmp_path: Path) -> None:
    pace = Pace(requests_per_second=5, of_a_caller=5)
    with sending(NOBODY, tmp_path, run_id="demo-1", model=MODEL, requests=1_000, pace=pace) as running:
        wait_until(running.count_ended, 60, "a request")
    assert running.count_ended() < 1_000
    with pytest.raises(OperatorError, match="the traffic ended"):
        running.process.has_finished()


def test_the_pace_is_one_that_the_machine_can_keep(tmp_path: Path) -> None:
    slow = [{"name": "v1", "simulated": {"first_token_median_seconds": 1.2, "token_median_seconds": 0, "sigma": 0}}]
    with running_server(tmp_path / "server", backend="simulated", versions=slow) as server:
        slow_pace = pace_of(server.url, MODEL)
    assert 0.25 <= slow_pace.requests_per_second < 0.5
    assert slow_pace.of_a_caller == 0, "as many callers as it takes for each kind of them"
    with running_server(tmp_path / "server", backend="simulated") as server:
        assert pace_of(server.url, MODEL).requests_per_second == pytest.approx(1, abs=0.5)


def test_a_service_that_does_not_answer_has_no_pace(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=f"the server at {NOBODY} did not answer a first request"):
        pace_of(NOBODY, MODEL)
    with (
        running_server(tmp_path / "server", backend="simulated") as server,
        pytest.raises(OperatorError, match="answered a first request with 404"),
    ):
        pace_of(server.url, "no-such-model")


def test_without_locust_the_demo_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic.importlib.util, "find_spec", lambda _: None)
    with (
        pytest.raises(OperatorError, match="pip install locust"),
        sending(NOBODY, tmp_path, run_id="demo-1", model=MODEL, requests=1, pace=QUICK),
    ):
        pass
