import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.progress import ignore_progress
from inferlog_ops.engine import prune as pruning
from inferlog_ops.engine.prune import PrunedStream, measure_bytes, prune
from tests.support.commands import run
from tests.support.own_engine import OwnEngine
from tests.support.renewed_points import renew_points

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WEEK_AGO = NOW - timedelta(days=7)


@pytest.fixture
def client(provisioned: Cluster) -> Iterator[Elasticsearch]:
    with provisioned.build_client() as client:
        yield client


@pytest.fixture
def stream(provisioned: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """The events of this test; nobody else's are pruned by what runs in this process."""
    monkeypatch.setattr(pruning, "STREAMS", f"logs-inference.*-{provisioned.namespace}")
    return f"logs-inference.events-{provisioned.namespace}"


def write(client: Elasticsearch, stream: str, timestamps: list[datetime]) -> None:
    operations: list[dict[str, object]] = []
    for number, timestamp in enumerate(timestamps):
        operations.append({"create": {"_id": f"{timestamp.isoformat()}-{number}"}})
        operations.append({"@timestamp": timestamp.isoformat(), "model_version": "v1"})
    answer = client.bulk(index=stream, operations=operations, refresh=True)
    assert not answer["errors"], answer


def find_kept(client: Elasticsearch, stream: str) -> list[str]:
    client.indices.refresh(index=stream)
    hits = client.search(index=stream, size=10_000, sort="@timestamp")["hits"]["hits"]
    return [hit["_source"]["@timestamp"] for hit in hits]


def find_indices(client: Elasticsearch, stream: str) -> list[str]:
    found = client.indices.resolve_index(name=stream, expand_wildcards="all")["data_streams"]
    return list(found[0]["backing_indices"])


def find_pruned(pruned: list[PrunedStream], stream: str) -> PrunedStream | None:
    return next((one for one in pruned if one.stream == stream), None)


def test_prune_removes_old_events_and_keeps_the_boundary(client: Elasticsearch, stream: str) -> None:
    times = [WEEK_AGO + timedelta(microseconds=offset) for offset in (-5_000_000, -1, 0, 1)]
    write(client, stream, [*times, NOW])
    done = find_pruned(prune(client, WEEK_AGO, ignore_progress), stream)
    assert done == PrunedStream(
        stream=stream, documents=2, deleted_indices=(), thinned_indices=(find_indices(client, stream)[0],)
    )
    assert find_kept(client, stream) == [time.isoformat() for time in (*times[2:], NOW)]


def test_prune_removes_more_than_one_page(client: Elasticsearch, stream: str) -> None:
    write(client, stream, [WEEK_AGO - timedelta(seconds=second) for second in range(1, 12_002)])
    write(client, stream, [NOW])
    done = find_pruned(prune(client, WEEK_AGO, ignore_progress), stream)
    assert done
    assert done.documents == 12_001
    assert find_kept(client, stream) == [NOW.isoformat()]


def test_prune_follows_the_id_of_its_point_in_time_and_refuses_partial_results(
    client: Elasticsearch, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(client, stream, [WEEK_AGO - timedelta(seconds=second) for second in range(1, 5_002)])
    write(client, stream, [NOW])
    accepted = renew_points(monkeypatch)
    prune(client, WEEK_AGO, ignore_progress)
    assert accepted == [False] * 3
    assert client.count(index=stream)["count"] == 1


def test_an_index_of_old_events_only_is_deleted_whole(client: Elasticsearch, stream: str) -> None:
    write(client, stream, [WEEK_AGO - timedelta(days=day) for day in range(1, 9)])
    (old,) = find_indices(client, stream)
    client.indices.rollover(alias=stream)
    write(client, stream, [NOW])
    assert find_pruned(prune(client, WEEK_AGO, ignore_progress), stream) == PrunedStream(
        stream=stream, documents=8, deleted_indices=(old,), thinned_indices=()
    )
    assert find_kept(client, stream) == [NOW.isoformat()]
    assert old not in find_indices(client, stream)


def test_a_write_index_of_old_events_only_is_rolled_over(client: Elasticsearch, stream: str) -> None:
    write(client, stream, [WEEK_AGO - timedelta(days=1)])
    (old,) = find_indices(client, stream)
    done = find_pruned(prune(client, WEEK_AGO, ignore_progress), stream)
    assert done
    assert done.deleted_indices == (old,)
    assert find_kept(client, stream) == []
    write(client, stream, [NOW])
    assert find_kept(client, stream) == [NOW.isoformat()]


def test_prune_keeps_a_stream_without_old_events(client: Elasticsearch, stream: str) -> None:
    write(client, stream, [WEEK_AGO, NOW])
    before = find_indices(client, stream)
    assert find_pruned(prune(client, WEEK_AGO, ignore_progress), stream) is None
    assert find_indices(client, stream) == before
    assert len(find_kept(client, stream)) == 2


def test_prune_keeps_an_empty_stream(client: Elasticsearch, stream: str) -> None:
    before = find_indices(client, stream)
    assert find_pruned(prune(client, WEEK_AGO, ignore_progress), stream) is None
    assert find_indices(client, stream) == before


def test_dry_run_prints_the_same_and_changes_nothing(client: Elasticsearch, stream: str) -> None:
    write(client, stream, [WEEK_AGO - timedelta(days=1)])
    client.indices.rollover(alias=stream)
    write(client, stream, [WEEK_AGO - timedelta(days=1), NOW])
    before = find_indices(client, stream), find_kept(client, stream)
    foretold = find_pruned(prune(client, WEEK_AGO, ignore_progress, dry_run=True), stream)
    assert (find_indices(client, stream), find_kept(client, stream)) == before
    assert find_pruned(prune(client, WEEK_AGO, ignore_progress), stream) == foretold


def test_stored_bytes_are_current(client: Elasticsearch, stream: str) -> None:
    assert measure_bytes(client, stream) == 0
    write(client, stream, [NOW] * 5_000)
    assert measure_bytes(client, stream) > 50_000


def test_prune_command_frees_disk_space(tmp_path: Path, namespace: str) -> None:
    engine = OwnEngine(tmp_path / "home")  # what other tests write takes room
    engine.start()
    engine.provision(namespace)
    now, stream = datetime.now(UTC), f"logs-inference.events-{namespace}"
    with Cluster(url=engine.url).build_client() as client:
        write(client, stream, [now - timedelta(days=8, milliseconds=number) for number in range(20_000)])
        write(client, stream, [now])
        done = run("engine", "prune", "--home", engine.home, "--older-than", "7d", "--json")
        kept = find_kept(client, stream)
    engine.stop()
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["documents"] == 20_000
    assert facts["reclaimed"] is True
    assert facts["freed_bytes"] > 100_000
    assert len(kept) == 1


def test_stopped_engine_cannot_be_pruned(tmp_path: Path) -> None:
    refused = run("engine", "prune", "--home", tmp_path, "--older-than", "7d")
    assert refused.returncode == 1
    assert "start it before pruning: inferlog engine start" in refused.stderr


@pytest.mark.parametrize(
    ("age", "complaint"),
    [
        ("soon", "'soon' is not a duration"),
        ("99999999w", "--older-than 99999999w starts before the year 1; choose a shorter one"),
    ],
)
def test_invalid_age_is_rejected(tmp_path: Path, age: str, complaint: str) -> None:
    refused = run("engine", "prune", "--home", tmp_path, "--older-than", age)
    assert refused.returncode == 2
    assert complaint in refused.stderr
