"""Offsets belong to one cluster: another cluster, at the same URL or at a new one, is detected before it is used."""

import subprocess
import threading
from collections import Counter
from pathlib import Path

import orjson
import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.home import Home
from inferlog_ops.ship import cluster_identity
from inferlog_ops.ship.cluster_identity import OtherClusterError
from inferlog_ops.ship.status import Counts
from tests.support.faulty_store import Fault, FaultyStore, build_error_body, run_faulty_store
from tests.support.polling import wait_until
from tests.support.shipping import ShipperDirs, count_stored_ids, make_event_ids, ship_command, write_events

IDS = make_event_ids(20)
FORBIDDEN = (403, build_error_body("security_exception", "action [cluster:monitor/state] is unauthorized", 403))


@pytest.fixture(autouse=True)
def _always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_identity, "_TRUSTED_SECONDS", 0.0)


def read_saved_uuid(place: ShipperDirs) -> str | None:
    store: str | None = orjson.loads((place.state / "positions.json").read_bytes())["store"]
    return store


def test_other_cluster_is_rejected_before_anything_is_sent(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    write_events(place.events, ["later"])
    positions = place.offsets
    with run_faulty_store() as other:
        other.identity = "second-store"
        with pytest.raises(OtherClusterError) as refused:
            place.ship_once(Cluster(url=other.url, namespace="test"))
    assert str(refused.value) == (
        f"the Elasticsearch at {other.url} is not the cluster that {place.state / 'positions.json'} belongs to "
        "(cluster uuid second-store; expected first-store): give another --state to ship to both, "
        "or --replay to ship every file again from its beginning"
    )
    assert other.bulk_sizes == []
    assert place.offsets == positions
    assert place.ship_once(faulty_cluster).status.counts == Counts(shipped=1)


def test_ship_exits_with_one_sentence_and_code_2_on_another_cluster(faulty: FaultyStore, place: ShipperDirs) -> None:
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
    assert "(cluster uuid second-store; expected first-store)" in refused.stderr
    assert "Traceback" not in refused.stderr
    replayed = ship("--once", "--replay", "--json")
    assert replayed.returncode == 0, replayed.stderr
    assert orjson.loads(replayed.stdout)["duplicates"] == 20
    assert faulty.stored == Counter([*IDS, "later"])


def test_replay_ships_everything_to_another_cluster_and_saves_its_uuid(
    faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    with run_faulty_store() as other:
        other.identity = "second-store"
        there = Cluster(url=other.url, namespace="test")
        assert place.ship_once(there, replay=True).status.counts == Counts(shipped=20)
        assert read_saved_uuid(place) == "second-store"
        write_events(place.events, ["later"])
        assert place.ship_once(there, replay=True).status.counts == Counts(shipped=1)
        assert other.stored == Counter([*IDS, "later"])
    assert "is another cluster than before" in place.said.getvalue()


@pytest.mark.parametrize("replay", [False, True])
def test_cluster_change_is_detected_during_a_run(
    replay: bool, faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    def replace_cluster() -> None:
        write_events(place.events, IDS)
        wait_until(lambda: place.offsets.get(place.events.name), what="the first lines")
        with faulty.lock:
            faulty.identity = "second-store"
            faulty.indexes.clear()
            faulty.stored.clear()
        write_events(place.events, ["later"])

    if replay:
        with place.run_shipper(faulty_cluster, replay=True):
            replace_cluster()
            wait_until(lambda: faulty.stored == Counter([*IDS, "later"]), what="all lines in the new store")
        return
    replacing = threading.Thread(target=replace_cluster)
    with place.open_shipper(faulty_cluster) as shipper:
        replacing.start()
        with pytest.raises(OtherClusterError):
            shipper.run(once=False, timeout_seconds=30)
    replacing.join()
    assert not faulty.stored


def test_other_cluster_is_rejected_when_there_is_nothing_to_send(faulty_cluster: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    with run_faulty_store() as other:
        other.identity = "second-store"
        with pytest.raises(OtherClusterError):
            place.ship_once(Cluster(url=other.url, namespace="test"))


def ship_in_turns(faulty: FaultyStore, place: ShipperDirs) -> None:
    """Write lines three times, each time after the running shipper has sent those before."""
    for prefix in ("a", "b", "c"):
        write_events(place.events, make_event_ids(3, prefix))

        def is_stored(prefix: str = prefix) -> bool:
            return f"{prefix}000000" in faulty.stored

        wait_until(is_stored, what="the lines")


def test_shipping_continues_and_is_logged_once_when_the_uuid_is_hidden(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    faulty.identity_faults.extend([FORBIDDEN] * 100)
    with place.run_shipper(faulty_cluster):
        ship_in_turns(faulty, place)
    assert place.said.getvalue().count("the cluster privilege monitor") == 1
    assert faulty.count_requests("_cluster/state") == 1
    assert read_saved_uuid(place) is None


def test_first_available_uuid_is_saved(faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs) -> None:
    """As after an update from a version without this check, or after the key has received the privilege."""
    faulty.identity_faults.append(FORBIDDEN)
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    assert read_saved_uuid(place) is None
    write_events(place.events, ["later"])
    assert place.ship_once(faulty_cluster).status.counts == Counts(shipped=1)
    assert read_saved_uuid(place) == "first-store"


def test_saved_uuid_is_kept_while_the_uuid_is_hidden(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    faulty.identity_faults.append(FORBIDDEN)
    write_events(place.events, ["later"])
    place.ship_once(faulty_cluster)
    assert read_saved_uuid(place) == "first-store"


@pytest.mark.parametrize(
    "answer",
    [
        (503, build_error_body("master_not_discovered_exception", "starting", 503)),
        (401, build_error_body("security_exception", "missing authentication credentials", 401)),
        (429, b""),
        (200, b'{"cluster_uuid":"_na_"}'),
        (200, b"<html>welcome</html>"),
    ],
)
def test_uuid_is_requested_again_when_the_cluster_is_not_ready(
    answer: tuple[int, bytes], faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    faulty.identity_faults.extend([answer] * 2)
    faulty.faults.extend([Fault(status=503)] * 3)
    place.ship_once(faulty_cluster)
    assert faulty.count_requests("_cluster/state") > 2
    assert read_saved_uuid(place) == "first-store"


def test_other_cluster_is_detected_after_a_proxy_has_answered_in_between(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As during a move to another cluster behind one address."""
    monkeypatch.undo()
    missing = (404, b"default backend - 404")
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    faulty.identity = "second-store"
    faulty.identity_faults.extend([missing])
    faulty.faults.append(Fault(status=404, body=missing[1]))
    write_events(place.events, ["later"])
    with pytest.raises(OtherClusterError):
        place.ship_once(faulty_cluster)
    assert "later" not in faulty.stored


def test_uuid_hidden_by_a_proxy_is_requested_again_after_a_failure(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_identity, "_TRUSTED_SECONDS", 60.0)
    faulty.identity_faults.extend([(403, b"<html>forbidden</html>")] * 100)
    with place.run_shipper(faulty_cluster):
        ship_in_turns(faulty, place)
        assert faulty.count_requests("_cluster/state") == 1
        faulty.faults.append(Fault(status=503))
        write_events(place.events, ["d"])
        wait_until(lambda: "d" in faulty.stored, what="the last line")
        assert faulty.count_requests("_cluster/state") > 1
    assert place.said.getvalue().count("the cluster uuid is not available (a proxy answered 403") == 1


def test_uuid_is_requested_less_often_than_batches_are_sent(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    for number in range(40):
        write_events(place.logs / f"events-scoring-1-{number}.jsonl", make_event_ids(2_000, f"f{number}-"))
    place.ship_once(faulty_cluster)
    assert faulty.count_requests("_cluster/state") < len(faulty.bulk_sizes) / 2


def test_real_cluster_is_recognized_after_a_restart(provisioned: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, IDS)
    place.ship_once(provisioned)
    with provisioned.build_client() as client:
        assert read_saved_uuid(place) == client.cluster.state(metric="version")["cluster_uuid"]
    path = place.state / "positions.json"
    path.write_bytes(path.read_bytes().replace(str(read_saved_uuid(place)).encode(), b"another-store"))
    write_events(place.events, ["later"])
    with pytest.raises(OtherClusterError):
        place.ship_once(provisioned)
    assert place.ship_once(provisioned, replay=True).status.counts == Counts(shipped=1, duplicates=20)
    assert count_stored_ids(provisioned) == Counter([*IDS, "later"])


def test_embedded_engine_with_a_new_uuid_receives_everything_without_replay(
    provisioned: Cluster, home: Home, place: ShipperDirs
) -> None:
    """Its cluster uuid changes only if its data were deleted."""

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
