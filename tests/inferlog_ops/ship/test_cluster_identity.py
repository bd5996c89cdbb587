"""Positions hold for one store: another one under the same address, or at another one, is noticed before it is used."""

import subprocess
import threading
from collections import Counter
from pathlib import Path

import orjson
import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.home import Home
from inferlog_ops.ship import cluster_identity
from inferlog_ops.ship.cluster_identity import OtherStoreError
from inferlog_ops.ship.counters import Counts
from tests.support.faulty_store import Fault, FaultyStore, error_body, faulty_store
from tests.support.polling import wait_until
from tests.support.shipping import Place, event_ids, ship_command, stored_ids, write_events

IDS = event_ids(20)
FORBIDDEN = (403, error_body("security_exception", "action [cluster:monitor/state] is unauthorized", 403))


@pytest.fixture(autouse=True)
def _always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_identity, "_TRUSTED_SECONDS", 0.0)


def saved_store(place: Place) -> str | None:
    store: str | None = orjson.loads((place.state / "positions.json").read_bytes())["store"]
    return store


def test_another_store_is_refused_before_anything_is_sent(
    faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    write_events(place.events, ["later"])
    positions = place.positions
    with faulty_store() as other:
        other.identity = "second-store"
        with pytest.raises(OtherStoreError) as refused:
            place.ship_once(Cluster(url=other.url, namespace="test"))
    assert str(refused.value) == (
        f"the Elasticsearch at {other.url} is not the one that {place.state / 'positions.json'} is about "
        "(cluster uuid second-store; wanted first-store): give another --state to ship to both, "
        "or --replay to send this one every file from its beginning"
    )
    assert other.bulk_sizes == []
    assert place.positions == positions
    assert place.ship_once(faulty_cluster).status.counts == Counts(shipped=1)


def test_the_command_ends_with_one_sentence_and_code_2(faulty: FaultyStore, place: Place) -> None:
    def ship(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        places = ("--from", place.logs, "--to", faulty.url, "--state", place.state)
        command = ship_command(*places, "--heartbeat", "0", *arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    write_events(place.events, IDS)
    assert ship("--once").returncode == 0
    faulty.identity = "second-store"
    write_events(place.events, ["later"])
    refused = ship()
    assert refused.returncode == 2
    assert "(cluster uuid second-store; wanted first-store)" in refused.stderr
    assert "Traceback" not in refused.stderr
    replayed = ship("--once", "--replay", "--json")
    assert replayed.returncode == 0, replayed.stderr
    assert orjson.loads(replayed.stdout)["duplicates"] == 20
    assert faulty.stored == Counter([*IDS, "later"])


def test_with_replay_another_store_is_sent_everything_and_is_known_from_then_on(
    faulty_cluster: Cluster, place: Place
) -> None:
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    with faulty_store() as other:
        other.identity = "second-store"
        there = Cluster(url=other.url, namespace="test")
        assert place.ship_once(there, replay=True).status.counts == Counts(shipped=20)
        assert saved_store(place) == "second-store"
        write_events(place.events, ["later"])
        assert place.ship_once(there, replay=True).status.counts == Counts(shipped=1)
        assert other.stored == Counter([*IDS, "later"])
    assert "is another one than before" in place.said.getvalue()


@pytest.mark.parametrize("replay", [False, True])
def test_a_store_that_is_replaced_at_work_is_noticed(
    replay: bool, faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    def replace_it() -> None:
        write_events(place.events, IDS)
        wait_until(lambda: place.positions.get(place.events.name), what="the first lines")
        with faulty.lock:
            faulty.identity = "second-store"
            faulty.indexes.clear()
            faulty.stored.clear()
        write_events(place.events, ["later"])

    if replay:
        with place.tailing(faulty_cluster, replay=True):
            replace_it()
            wait_until(lambda: faulty.stored == Counter([*IDS, "later"]), what="all lines in the new store")
        return
    replacing = threading.Thread(target=replace_it)
    with place.shipper(faulty_cluster) as shipper:
        replacing.start()
        with pytest.raises(OtherStoreError):
            shipper.run(once=False, timeout_seconds=30)
    replacing.join()
    assert not faulty.stored


def test_another_store_is_refused_when_there_is_nothing_to_send(faulty_cluster: Cluster, place: Place) -> None:
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    with faulty_store() as other:
        other.identity = "second-store"
        with pytest.raises(OtherStoreError):
            place.ship_once(Cluster(url=other.url, namespace="test"))


def test_a_key_that_may_only_create_ships_all_the_same_and_it_is_said_once(
    faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    faulty.identity_faults.extend([FORBIDDEN] * 100)
    with place.tailing(faulty_cluster):
        for prefix in ("a", "b", "c"):
            write_events(place.events, event_ids(3, prefix))
            wait_until(lambda prefix=prefix: f"{prefix}000000" in faulty.stored, what="the lines")
    assert place.said.getvalue().count("the cluster privilege monitor") == 1
    assert faulty.asked("_cluster/state") == 1
    assert saved_store(place) is None


def test_the_first_store_that_tells_is_the_one_that_positions_are_about(
    faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    """As after an update from a version that did not ask, or once the key has got the right."""
    faulty.identity_faults.append(FORBIDDEN)
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    assert saved_store(place) is None
    write_events(place.events, ["later"])
    assert place.ship_once(faulty_cluster).status.counts == Counts(shipped=1)
    assert saved_store(place) == "first-store"


def test_a_known_store_stays_known_while_it_does_not_tell(
    faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    faulty.identity_faults.append(FORBIDDEN)
    write_events(place.events, ["later"])
    place.ship_once(faulty_cluster)
    assert saved_store(place) == "first-store"


@pytest.mark.parametrize(
    "answer",
    [
        (503, error_body("master_not_discovered_exception", "starting", 503)),
        (401, error_body("security_exception", "missing authentication credentials", 401)),
        (429, b""),
        (200, b'{"cluster_uuid":"_na_"}'),
        (200, b"<html>welcome</html>"),
    ],
)
def test_a_store_that_is_not_ready_is_asked_again(
    answer: tuple[int, bytes], faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    write_events(place.events, IDS)
    faulty.identity_faults.extend([answer] * 2)
    faulty.faults.extend([Fault(status=503)] * 3)
    place.ship_once(faulty_cluster)
    assert faulty.asked("_cluster/state") > 2
    assert saved_store(place) == "first-store"


def test_a_busy_store_is_asked_only_now_and_then(
    faulty: FaultyStore, faulty_cluster: Cluster, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    for number in range(40):
        write_events(place.logs / f"events-scoring-1-{number}.jsonl", event_ids(2_000, f"f{number}-"))
    place.ship_once(faulty_cluster)
    assert faulty.asked("_cluster/state") < len(faulty.bulk_sizes) / 2


def test_a_real_store_is_known_again(provisioned: Cluster, place: Place) -> None:
    write_events(place.events, IDS)
    place.ship_once(provisioned)
    with provisioned.client() as client:
        assert saved_store(place) == client.cluster.state(metric="version")["cluster_uuid"]
    path = place.state / "positions.json"
    path.write_bytes(path.read_bytes().replace(str(saved_store(place)).encode(), b"another-store"))
    write_events(place.events, ["later"])
    with pytest.raises(OtherStoreError):
        place.ship_once(provisioned)
    assert place.ship_once(provisioned, replay=True).status.counts == Counts(shipped=1, duplicates=20)
    assert stored_ids(provisioned) == Counter([*IDS, "later"])


def test_a_home_s_own_engine_is_sent_everything_again_without_being_asked(
    provisioned: Cluster, home: Home, place: Place
) -> None:
    """It is another one only if its data were deleted."""

    def ship(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        where = ("--home", place.root, "--namespace", provisioned.namespace)
        command = ship_command(*where, "--once", "--heartbeat", "0", *arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    (place.root / "engine").symlink_to(home.engine)
    write_events(place.events, IDS)
    assert ship().stdout == "shipped 20 · behind by 0 · refused 0\n"
    path = Home(place.root).shipper_state / "positions.json"
    about = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps(about | {"store": "deleted-since"}))
    assert ship("--state", path.parent).returncode == 2
    assert ship().stdout == "shipped 0 · behind by 0 · refused 0 · already there 20\n"
