"""Proxy between a real shipper and a counting store."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from inferlog_ops.core.cluster import Cluster
from tests.chaos import misbehaviour
from tests.chaos.misbehaviour import CountingBehaviour
from tests.chaos.proxy import Behaviour, Forward, Proxy, ProxyRequest, forward_unchanged, run_proxy
from tests.support.faulty_store import FaultyStore, run_faulty_store
from tests.support.polling import wait_until
from tests.support.shipping import ShipperDirs, make_event_ids, write_events

EVENTS = 300


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    with run_faulty_store() as store:
        yield store


@pytest.fixture
def proxy(store: FaultyStore) -> Iterator[Proxy]:
    with run_proxy(store.url) as proxy:
        yield proxy


@pytest.fixture
def place(tmp_path: Path) -> ShipperDirs:
    place = ShipperDirs(tmp_path)
    write_events(place.events, make_event_ids(EVENTS))
    return place


def test_proxy_forwards_unchanged_by_default(proxy: Proxy, store: FaultyStore, place: ShipperDirs) -> None:
    outcome = place.ship_once(Cluster(url=proxy.url))
    assert outcome.status.counts.shipped == EVENTS
    assert outcome.status.retries == 0
    assert set(store.stored) == set(make_event_ids(EVENTS))
    assert store.count_requests("/_bulk") == 1


@pytest.mark.parametrize("status", [429, 503])
def test_rejected_request_stores_nothing_and_is_retried(
    status: int, proxy: Proxy, store: FaultyStore, place: ShipperDirs
) -> None:
    proxy.behaviour = refusing = CountingBehaviour(misbehaviour.refuse(status), shows=b" %d " % status)
    with place.run_shipper(Cluster(url=proxy.url)):
        wait_until(lambda: refusing.count >= 3, what="three tries")
        assert not store.stored
        proxy.behaviour = forward_unchanged
        wait_until(lambda: len(store.stored) == EVENTS, what="all events")
    assert str(status) in place.said.getvalue()


@pytest.mark.parametrize("behaviour", [misbehaviour.cut, misbehaviour.refuse_every_other, misbehaviour.delay(0.3)])
def test_documents_are_stored_once_when_response_is_bad(
    behaviour: Behaviour, proxy: Proxy, store: FaultyStore, place: ShipperDirs
) -> None:
    proxy.behaviour = behaviour
    with place.run_shipper(Cluster(url=proxy.url)) as shipper:
        wait_until(lambda: len(store.stored) > EVENTS // 4, what="some of the events")
        proxy.behaviour = forward_unchanged
        wait_until(lambda: place.offsets.get(place.events.name) == place.events.stat().st_size, what="all answers")
    assert shipper
    assert set(store.stored.values()) == {1}
    assert len(store.stored) == EVENTS


def test_cut_response_is_retried(proxy: Proxy, store: FaultyStore, place: ShipperDirs) -> None:
    proxy.behaviour = misbehaviour.cut
    with place.run_shipper(Cluster(url=proxy.url)):
        wait_until(lambda: store.count_requests("/_bulk") >= 2, what="a repetition")
        assert place.offsets.get(place.events.name, 0) == 0


def test_every_other_document_is_rejected(proxy: Proxy, store: FaultyStore, place: ShipperDirs) -> None:
    proxy.behaviour = misbehaviour.refuse_every_other
    with place.run_shipper(Cluster(url=proxy.url)):
        wait_until(lambda: store.count_requests("/_bulk") >= 2, what="a second request")
    first, second = store.bulk_sizes[:2]
    assert (first, second) == (EVENTS // 2, EVENTS // 4)


def test_failed_behaviour_closes_the_connection(proxy: Proxy) -> None:
    kept = []  # with the exception its frames, and the connection in them

    async def stumble(_request: ProxyRequest, _forward: Forward) -> bytes:
        kept.append(KeyError("items"))
        raise kept[0]

    proxy.behaviour = stumble
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(b"POST /events/_bulk HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        assert connection.recv(1) == b""


def test_stopped_engine_closes_the_connection(place: ShipperDirs) -> None:
    with run_proxy("http://127.0.0.1:9") as proxy, place.run_shipper(Cluster(url=proxy.url)):
        wait_until(lambda: "no answer from" in place.said.getvalue(), what="a word about it")
