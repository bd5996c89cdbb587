"""Lag probe: it misses no event, counts none twice, and times each from its end."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.lag_probe import LagProbe, SequenceRanges
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home
from inferlog_ops.core.streams import build_stream_name
from tests.support.polling import wait_until
from tests.support.serving import serve_wsgi

BENCHMARK = "benchmarks.lag"
OLD_SECONDS = 7.0


@given(st.permutations(range(40)), st.lists(st.integers(0, 39), max_size=20))
def test_sequence_ranges_report_each_number_as_new_once_in_any_order(order: list[int], again: list[int]) -> None:
    seen = SequenceRanges()
    assert all(seen.add(number) for number in order)
    assert not any(seen.add(number) for number in again)
    assert seen.find_gaps() == [{"gt": 39}]


@given(st.lists(st.integers(0, 60), max_size=80))
def test_missing_ranges_contain_exactly_the_numbers_not_found(found: list[int]) -> None:
    seen = SequenceRanges()
    for number in found:
        seen.add(number)
    asked_for = [
        number for number in range(100) for gap in seen.find_gaps() if gap["gt"] < number < gap.get("lt", number + 1)
    ]
    assert asked_for == sorted(set(range(100)) - set(found))


def build_event(number: int, *, ended: datetime, service: str = "probed") -> dict[str, Any]:
    return {
        "@timestamp": ended.isoformat().replace("+00:00", "Z"),
        "event": {"id": f"id{number}", "sequence": number, "dataset": "inference.events"},
        "service": {"name": service, "instance": {"id": f"{service}1"}},
    }


def store(cluster: Cluster, *events: dict[str, Any]) -> None:
    with cluster.build_client() as client:
        for each in events:
            client.create(index=build_stream_name("events", cluster.namespace), id=each["event"]["id"], document=each)


def test_lag_of_event_counts_once_from_its_end(provisioned: Cluster) -> None:
    old = datetime.now(UTC) - timedelta(seconds=OLD_SECONDS)
    with LagProbe(provisioned, service="probed", seconds_between_polls=0.02) as probe:
        store(provisioned, build_event(1, ended=old), build_event(9, ended=old, service="another"))
        wait_until(lambda: probe.found == 1, what="the first event")
        before = time.monotonic()
        # An earlier number that comes later is not missed.
        store(provisioned, build_event(2, ended=datetime.now(UTC)), build_event(0, ended=datetime.now(UTC)))
        wait_until(lambda: probe.found == 3, what="the other two")
        looks = probe.polls
        wait_until(lambda: probe.polls > looks + 3, what="more looks")
        waited_seconds = time.monotonic() - before
    first, *others = probe.list_lags()
    assert OLD_SECONDS < first < OLD_SECONDS + 10
    assert all(0 < lag <= waited_seconds for lag in others)
    assert len(others) == 2
    assert (probe.failures, probe.describe_failures()) == (0, "")


def build_store(status: str, body: bytes) -> Any:
    """Store that gives every query the same response."""

    def app(_: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, [("content-type", "application/json"), ("content-length", str(len(body)))])
        return [body]

    return app


def build_probe(url: str) -> LagProbe:
    return LagProbe(Cluster(url=url, namespace="probed"), service="probed", seconds_between_polls=0.01)


def test_failed_probe_poll_is_counted_with_its_reason() -> None:
    with serve_wsgi(build_store("503 Busy", b"too much to do")) as url, build_probe(url) as probe:
        wait_until(lambda: probe.failures > 2, what="more looks")
        probe.check()
    assert probe.failures == probe.polls
    assert "polls failed, the last with status 503: too much to do" in probe.describe_failures()


@pytest.mark.parametrize("body", [b"{}", b"[]", b"half a", b'{"values": [["i1"], [7], [null]]}'])
def test_check_raises_when_probe_has_ended(body: bytes) -> None:
    with (
        serve_wsgi(build_store("200 OK", body)) as url,
        build_probe(url) as probe,
        pytest.raises(OperatorError, match="the lag probe failed after 0 polls"),
    ):
        wait_until(probe.check, what="the end of its looks")


def test_lag_finds_all_written_events(home: Home, tmp_path: Path) -> None:
    (tmp_path / "engine").symlink_to(home.engine)
    command = [sys.executable, "-m", BENCHMARK, "--rates", "50", "--seconds", "2", "--warm-up-seconds", "0", "--json"]
    ran = subprocess.run([*command, "--home", tmp_path], capture_output=True, timeout=120, check=False)
    report = json.loads(ran.stdout)
    (lag,) = report["figures"]["lags"]
    assert lag["found"] == lag["events"] <= 100
    assert lag["events"] >= 50, "fewer, where others kept the writer from its processor"
    assert 0 < lag["sent_p50_seconds"] < lag["p50_seconds"] <= lag["p99_seconds"] <= lag["max_seconds"]
    assert ran.returncode == (0 if all(goal["met"] for goal in report["goals"]) else 3), ran.stderr
