"""Committed configuration in a real Fluentd with its own engine. For larger trials see verify.py."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from inferlog.sinks.file import FileLimits, FileSink
from inferlog.sinks.retention import Retention
from inferlog_ops.core.cluster import Cluster
from tests.fluentd.image_programs import run_health_check
from tests.fluentd.process import Fluentd, is_installed
from tests.fluentd.trial import TrialPlan, run_trial
from tests.support.own_engine import OwnEngine
from tests.support.polling import wait_until
from tests.support.shipping import build_event_line, count_stored_ids, make_event_ids, write_events

if not is_installed():
    pytest.skip("no fluentd on PATH: what a real one makes of it is not tested here", allow_module_level=True)

pytestmark = [pytest.mark.fluentd, pytest.mark.timeout(900)]

QUICK = {"INFERLOG_FLUENTD_HEALTH_INTERVAL": "1s", "INFERLOG_FLUENTD_RETRY_MAX_INTERVAL": "2s"}
SMALL_BUFFER = {"INFERLOG_FLUENTD_TOTAL_LIMIT_SIZE": "1m", "INFERLOG_FLUENTD_CHUNK_LIMIT_SIZE": "256k"}
MAJOR = 8  # of the embedded engine
NO_COMMON_LANGUAGE = b"media_type_header_exception"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    engine = OwnEngine(tmp_path_factory.mktemp("fluentd-engine"))
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def fluentd(engine: OwnEngine, tmp_path: Path) -> Fluentd:
    """Fluentd that is not started yet, with its own streams."""
    namespace = f"t{uuid4().hex[:15]}"
    engine.provision(namespace)
    return Fluentd(tmp_path, url=engine.url, major=MAJOR, namespace=namespace, settings=QUICK)


@pytest.fixture
def running(fluentd: Fluentd) -> Iterator[Fluentd]:
    """The same, running, with a client that the engine accepts."""
    fluentd.start()
    fluentd.wait_until_running()
    write_events(fluentd.logs / "events-first-1-1.jsonl", ["first"])
    wait_until(lambda: find_ids(fluentd) or NO_COMMON_LANGUAGE in fluentd.log.read_bytes(), 60, "the first event")
    if not find_ids(fluentd):
        fluentd.kill()
        pytest.skip("the fluentd on PATH has the gem elasticsearch 9; the engine here takes one of 8.19")
    yield fluentd
    fluentd.kill_if_alive()


def build_cluster(fluentd: Fluentd) -> Cluster:
    return Cluster(url=fluentd.url, namespace=fluentd.namespace)


def find_ids(fluentd: Fluentd, stream: str = "events") -> set[str]:
    ids = count_stored_ids(build_cluster(fluentd), stream)
    assert all(times == 1 for times in ids.values())
    return set(ids)


def sweep(fluentd: Fluentd) -> set[str]:
    """Delete shipped files; return the names of the others."""
    Retention(fluentd.logs, keep_shipped_seconds=0.0, max_total_bytes=10**9).sweep()
    return {path.name for path in fluentd.logs.glob("*.jsonl")}


def test_fluentd_accepts_the_configuration_without_warnings(running: Fluentd) -> None:
    said = [orjson.loads(line) for line in running.log.read_bytes().splitlines()]
    assert [each for each in said if each["level"] not in ("debug", "info")] == []


def test_no_line_is_lost_duplicated_or_astray_when_everything_is_killed(running: Fluentd, engine: OwnEngine) -> None:
    running.kill()
    seed = random.randrange(10**6)
    plan = TrialPlan(count=8_000, seconds=25, kills=4, outage_seconds=5, file_bytes=100_000, seed=seed)
    said: list[str] = []
    result = run_trial(plan, engine=engine, fluentd=running, say=said.append)
    assert (result.lost, result.astray, result.duplicates, result.files_left) == ([], ["first"], [], []), (seed, said)
    assert result.found + result.dead_lettered == result.written
    assert result.dead_lettered > 100
    assert result.health_lines > 5


def test_full_buffer_is_reported_and_loses_nothing(running: Fluentd) -> None:
    assert run_health_check(running.monitor_port).returncode == 0
    running.kill()
    ids = make_event_ids(6_000)
    write_events(running.logs / "events-many-1-1.jsonl", ids, message="x" * 300)
    away = replace(running, url="http://127.0.0.1:1", settings=running.settings | SMALL_BUFFER)
    away.start()
    try:
        wait_until(lambda: "the buffer is full" in run_health_check(away.monitor_port).stderr, 60, "a full buffer")
    finally:
        away.kill_if_alive()
    running.start()
    wait_until(lambda: find_ids(running) == {"first", *ids}, 60, "the events")
    assert run_health_check(running.monitor_port).returncode == 0


def test_shipped_file_is_deleted_and_unshipped_file_stays(running: Fluentd) -> None:
    write_events(running.logs / "events-shipped-1-1.jsonl", make_event_ids(500))
    wait_until(lambda: find_ids(running) == {"first", *make_event_ids(500)}, 60, "the events")
    wait_until(lambda: not sweep(running), 10, "the deletion of shipped files")
    running.kill()
    write_events(running.logs / "events-late-1-1.jsonl", ["late"])
    write_events(running.logs / "app-late-1-1.jsonl", ["late"])
    assert sweep(running) == {"events-late-1-1.jsonl", "app-late-1-1.jsonl"}
    running.start()
    wait_until(lambda: not sweep(running), 60, "the deletion of shipped files")
    wait_until(lambda: "late" in find_ids(running) & find_ids(running, "app"), 60, "the late events")


def test_file_created_after_a_deletion_is_read_from_its_first_line(running: Fluentd) -> None:
    """File systems reuse the inode of a deleted file, and Fluentd identifies files by inode only."""
    write_events(running.logs / "events-long-1-1.jsonl", make_event_ids(300, "long"))
    wait_until(lambda: len(find_ids(running)) == 301, 60, "the events")
    running.kill()
    sweep(running)
    sink = FileSink(
        running.logs,
        stream="events",
        service="next",
        instance_id="0" * 16,
        limits=FileLimits(max_file_bytes=10**9, max_file_age_seconds=3600),
        retention=Retention(running.logs, keep_shipped_seconds=0.0, max_total_bytes=10**9),
    )
    for event_id in make_event_ids(400, "next"):
        assert sink.write(build_event_line(event_id))
    sink.close()
    running.start()
    wanted = {"first", *make_event_ids(300, "long"), *make_event_ids(400, "next")}
    wait_until(lambda: find_ids(running) == wanted, 60, "all of the next file")


def test_dead_letter_contains_the_original_line(running: Fluentd) -> None:
    refused = build_event_line("refused", latency_seconds="slow", cost_usd=0.000001, message="größer")
    (running.logs / "events-bad-1-1.jsonl").write_bytes(b'{"cut": "\xe2\x82\n' + refused)
    letters = wait_until(lambda: read_letters(running, 2), 60, "the dead letters")
    assert letters[0] == b'{"unmatched_line":"{\\"cut\\": \\"\xe2\x82"}'
    assert orjson.loads(letters[1]) == orjson.loads(refused)


def read_letters(fluentd: Fluentd, count: int) -> list[bytes]:
    letters = fluentd.read_dead_letters("events")
    return sorted(letters, reverse=True) if len(letters) == count else []


def test_fluentd_reports_its_state_in_the_health_stream(running: Fluentd) -> None:
    wait_until(lambda: len(find_ids(running, "health")) >= 2, 60, "two lines about Fluentd")
    with build_cluster(running).build_client() as client:
        hits = client.search(index=f"logs-inference.health-{running.namespace}")["hits"]["hits"]
    store = [hit for hit in hits if "retry_count" in hit["_source"]["fluentd"]]
    letters = [hit for hit in hits if "dead_letters" in hit["_source"]["fluentd"]]
    assert {hit["_source"]["fluentd"]["dead_letters"] for hit in letters} == {0}
    line = store[0]["_source"]
    assert line["service"]["name"] == "inferlog-fluentd"
    assert line["message"] == "fluentd_heartbeat"
    assert line["event"] == {"id": store[0]["_id"], "dataset": "inference.health"}
    assert line["fluentd"].keys() == {
        "retry_count",
        "queue_chunks",
        "queue_bytes",
        "buffer_free_ratio",
        "oldest_seconds",
    }
    assert 0 <= line["fluentd"]["oldest_seconds"] < 60
    assert 0.99 < line["fluentd"]["buffer_free_ratio"] <= 1
    assert len({hit["_source"]["service"]["instance"]["id"] for hit in hits}) == 1
