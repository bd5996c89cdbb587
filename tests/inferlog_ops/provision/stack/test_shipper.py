"""``inferlog ship`` with keys of a store with security: the least privileges, and a key that is replaced."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.provision.stack import roles
from inferlog_ops.ship.status import Counts
from tests.support.installation import Stack
from tests.support.polling import wait_until
from tests.support.shipping import ShipperDirs, make_event_ids, write_events

IDS = make_event_ids(50)
SHIPPING = {"indices": [{"names": ["logs-inference.*"], "privileges": ["create_doc", "read", "maintenance"]}]}
KEYS = {"create_doc alone": roles.load_rights(roles.FLUENTD), "read and maintenance too": SHIPPING}


@pytest.fixture
def superuser(stack: Stack) -> Cluster:
    """The store, with a namespace for one test."""
    cluster = replace(stack.superuser, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    return cluster


@pytest.fixture
def stream(superuser: Cluster, admin: Elasticsearch) -> str:
    """The stream of events, in which nothing becomes searchable by itself."""
    name = f"logs-inference.events-{superuser.namespace}"
    admin.indices.put_settings(index=name, settings={"index.refresh_interval": "-1"})
    return name


@pytest.fixture
def place(tmp_path: Path) -> ShipperDirs:
    """Directories for a shipper."""
    return ShipperDirs(tmp_path)


@pytest.mark.parametrize("rights", KEYS.values(), ids=KEYS)
def test_once_returns_when_all_is_searchable_with_either_key(
    rights: dict[str, object], superuser: Cluster, admin: Elasticsearch, stream: str, place: ShipperDirs
) -> None:
    key = admin.security.create_api_key(name=f"inferlog-test-{stream}", role_descriptors={"shipping": rights})
    cluster = replace(superuser, user_and_password=None, api_key=key["encoded"])
    write_events(place.events, IDS)
    assert place.ship_once(cluster).status.counts == Counts(shipped=len(IDS))
    assert admin.count(index=stream)["count"] == len(IDS)
    (place.state / "positions.json").unlink()
    more = make_event_ids(10, "more")
    write_events(place.events, more)
    place.ship_once(cluster)
    assert admin.count(index=stream)["count"] == len(IDS) + len(more)


def test_documents_that_the_store_had_already_are_searchable_with_the_least_privileges(
    superuser: Cluster, admin: Elasticsearch, stream: str, place: ShipperDirs
) -> None:
    key = admin.security.create_api_key(
        name=f"inferlog-test-{stream}", role_descriptors={"shipping": KEYS["create_doc alone"]}
    )
    cluster = replace(superuser, user_and_password=None, api_key=key["encoded"])
    write_events(place.events, IDS)
    with place.run_shipper(cluster):
        wait_until(lambda: place.offsets.get(place.events.name) == place.events.stat().st_size, what="the answer")
    assert admin.count(index=stream)["count"] == 0
    (place.state / "positions.json").unlink()
    assert place.ship_once(cluster).status.counts == Counts(duplicates=len(IDS))
    assert admin.count(index=stream)["count"] == len(IDS)


def test_replaced_key_is_read_from_its_file_after_the_store_rejects_the_old_one(
    superuser: Cluster, admin: Elasticsearch, stream: str, place: ShipperDirs
) -> None:
    rights = {"shipping": KEYS["read and maintenance too"]}
    old, new = (
        admin.security.create_api_key(name=f"inferlog-test-{stream}", role_descriptors=rights) for _ in range(2)
    )
    key_file = place.root / "api_key"
    key_file.write_text(f"{old['id']}:{old['api_key']}\n")
    with place.run_shipper(replace(superuser, user_and_password=None, api_key_file=key_file)):
        write_events(place.events, IDS)
        wait_until(lambda: place.offsets.get(place.events.name) == place.events.stat().st_size, what="the answer")
        admin.security.invalidate_api_key(ids=[old["id"]])
        write_events(place.events, make_event_ids(50, "later"))
        wait_until(lambda: f"write a valid API key into {key_file}" in place.said.getvalue(), what="the advice")
        key_file.write_text(new["encoded"])
        wait_until(lambda: place.offsets.get(place.events.name) == place.events.stat().st_size, what="all answers")
    admin.indices.refresh(index=stream)
    assert admin.count(index=stream)["count"] == len(IDS) + 50
