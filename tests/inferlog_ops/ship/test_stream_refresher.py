"""``ship --once`` returns when a search finds every shipped document."""

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import STREAMS, build_stream_name
from inferlog_ops.ship.status import Counts
from tests.support.faulty_store import FaultyStore, build_error_body
from tests.support.polling import wait_until
from tests.support.shipping import ShipperDirs, make_event_ids, write_events

IDS = make_event_ids(20)


@pytest.fixture
def never_refreshing(provisioned: Cluster) -> Cluster:
    """A real cluster without automatic refreshes."""
    with provisioned.build_client() as client:
        for stream in STREAMS:
            client.indices.put_settings(
                index=build_stream_name(stream, provisioned.namespace), settings={"index.refresh_interval": "-1"}
            )
    return provisioned


def search_ids(cluster: Cluster, stream: str = "events") -> int:
    with cluster.build_client() as client:
        return int(client.count(index=build_stream_name(stream, cluster.namespace))["count"])


def test_documents_of_every_stream_are_searchable_after_a_run_with_once(
    never_refreshing: Cluster, place: ShipperDirs
) -> None:
    for number, stream in enumerate(STREAMS, start=1):
        write_events(place.logs / f"{stream}-scoring-1-1.jsonl", make_event_ids(number, stream))
    place.ship_once(never_refreshing)
    for number, stream in enumerate(STREAMS, start=1):
        assert search_ids(never_refreshing, stream) == number


def test_documents_of_an_earlier_run_are_searchable_after_a_run_with_once(
    never_refreshing: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    with place.run_shipper(never_refreshing):
        wait_until(lambda: place.offsets.get(place.events.name) == place.events.stat().st_size, what="the answer")
    assert search_ids(never_refreshing) == 0
    assert place.ship_once(never_refreshing).status.counts == Counts()
    assert search_ids(never_refreshing) == len(IDS)


def test_shipper_without_once_never_refreshes(faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, IDS)
    with place.run_shipper(faulty_cluster):
        wait_until(lambda: place.offsets.get(place.events.name) == place.events.stat().st_size, what="the answer")
    assert faulty.count_requests("refresh") == 0


def test_key_without_the_maintenance_privilege_refreshes_with_each_bulk_request(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    faulty.may_search = False
    write_events(place.events, IDS)
    outcome = place.ship_once(faulty_cluster)
    assert outcome.why_unsearchable is None
    assert ["refresh=true" in path for path in faulty.bulk_paths] == [True]
    assert faulty.count_requests("/_refresh") == 1, "the refusal is remembered"


def test_key_with_the_maintenance_privilege_refreshes_once_at_the_end(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    assert ["refresh=true" in path for path in faulty.bulk_paths] == [False]
    assert "/_refresh" in faulty.requests[-1][1]


@pytest.mark.parametrize(
    "answer",
    [
        (503, build_error_body("unavailable_shards_exception", "for a test", 503)),
        (200, b'{"_shards":{"total":2,"successful":1,"failed":1}}'),
        (401, build_error_body("security_exception", "for a test", 401)),
    ],
)
def test_refresh_that_fails_is_repeated_until_it_works(
    answer: tuple[int, bytes], faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    faulty.refresh_faults.extend([answer] * 3)
    outcome = place.ship_once(faulty_cluster)
    assert outcome.why_unsearchable is None
    assert "waits until all documents are searchable: events: Elasticsearch" in place.said.getvalue()
    assert not faulty.refresh_faults


def test_run_ends_with_a_notice_when_the_refresh_privilege_is_revoked(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    faulty.refresh_faults.append((200, b'{"_shards":{"failed":0}}'))
    faulty.refresh_faults.append((403, build_error_body("security_exception", "for a test", 403)))
    assert place.ship_once(faulty_cluster).why_unsearchable is None
    assert "events: the API key no longer permits a refresh" in place.said.getvalue()


def test_missing_stream_needs_no_refresh(faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, [])
    faulty.refresh_faults.append((404, build_error_body("index_not_found_exception", "for a test", 404)))
    assert place.ship_once(faulty_cluster).why_unsearchable is None
