"""Rotation of the API key: the store rejects the old key, and the file contains a new one later."""

from collections import Counter
from pathlib import Path

import pytest

from inferlog_ops.core.cluster import Cluster
from tests.support.faulty_store import FaultyStore
from tests.support.polling import wait_until
from tests.support.shipping import ShipperDirs, make_event_ids, write_events

IDS = make_event_ids(20)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "api_key"
    path.write_text("b2xkOmtleQ==")
    return path


@pytest.fixture
def cluster(faulty: FaultyStore, key_file: Path) -> Cluster:
    faulty.authorization = "ApiKey bmV3OmtleQ=="
    return Cluster(url=faulty.url, namespace="test", api_key_file=key_file)


def test_new_key_in_the_file_is_used_after_a_401(
    cluster: Cluster, faulty: FaultyStore, key_file: Path, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    with place.run_shipper(cluster):
        wait_until(lambda: "answered 401" in place.said.getvalue(), what="the status line with the reason")
        assert f"write a valid API key into {key_file}" in place.said.getvalue()
        key_file.write_text("new:key\n")
        wait_until(lambda: place.offsets.get(place.events.name, 0) == place.events.stat().st_size, what="an answer")
    assert faulty.stored == Counter(IDS)
    assert place.dead_letters == []


def test_key_that_changed_between_two_requests_costs_no_retry(
    cluster: Cluster, faulty: FaultyStore, key_file: Path, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    with place.open_shipper(cluster) as shipper:
        key_file.write_text("new:key")
        outcome = shipper.run(once=True, timeout_seconds=30.0)
    assert outcome.complete
    assert outcome.status.retries == 0
    assert faulty.stored == Counter(IDS)


@pytest.mark.parametrize("fault", ["missing", "empty"])
def test_unusable_file_keeps_the_last_key_and_the_retries(
    fault: str, cluster: Cluster, faulty: FaultyStore, key_file: Path, place: ShipperDirs
) -> None:
    """The file may be missing for a moment during its replacement."""
    write_events(place.events, IDS)
    with place.run_shipper(cluster) as shipper:
        key_file.unlink() if fault == "missing" else key_file.write_text("")
        wait_until(lambda: "answered 401" in place.said.getvalue(), what="the status line with the reason")
        key_file.write_text("new:key")
        wait_until(lambda: faulty.stored == Counter(IDS), what="all lines in the store")
        assert shipper
