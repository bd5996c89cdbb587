"""``ship --once`` returns when a search finds every document that it has shipped."""

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import STREAMS, stream_name
from inferlog_ops.ship.counters import Counts
from tests.support.faulty_store import FaultyStore, error_body
from tests.support.polling import wait_until
from tests.support.shipping import Place, event_ids, write_events

IDS = event_ids(20)


@pytest.fixture
def never_refreshing(provisioned: Cluster) -> Cluster:
    """A real store in which nothing becomes searchable by itself."""
    with provisioned.client() as client:
        for stream in STREAMS:
            client.indices.put_settings(
                index=stream_name(stream, provisioned.namespace), settings={"index.refresh_interval": "-1"}
            )
    return provisioned


def found(cluster: Cluster, stream: str = "events") -> int:
    with cluster.client() as client:
        return int(client.count(index=stream_name(stream, cluster.namespace))["count"])


def test_documents_of_every_stream_are_searchable_after_a_run_with_once(
    never_refreshing: Cluster, place: Place
) -> None:
    for number, stream in enumerate(STREAMS, start=1):
        write_events(place.logs / f"{stream}-scoring-1-1.jsonl", event_ids(number, stream))
    place.ship_once(never_refreshing)
    for number, stream in enumerate(STREAMS, start=1):
        assert found(never_refreshing, stream) == number


def test_documents_of_an_earlier_run_are_searchable_after_a_run_with_once(
    never_refreshing: Cluster, place: Place
) -> None:
    write_events(place.events, IDS)
    with place.tailing(never_refreshing):
        wait_until(lambda: place.positions.get(place.events.name) == place.events.stat().st_size, what="the answer")
    assert found(never_refreshing) == 0
    assert place.ship_once(never_refreshing).status.counts == Counts()
    assert found(never_refreshing) == len(IDS)


def test_shipper_that_keeps_running_leaves_the_refresh_to_the_store(
    faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    write_events(place.events, IDS)
    with place.tailing(faulty_cluster):
        wait_until(lambda: place.positions.get(place.events.name) == place.events.stat().st_size, what="the answer")
    assert faulty.asked("refresh") == 0


def test_key_without_the_right_to_refresh_refreshes_with_each_bulk_request(
    faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    faulty.may_search = False
    write_events(place.events, IDS)
    outcome = place.ship_once(faulty_cluster)
    assert outcome.unsearchable is None
    assert ["refresh=true" in path for path in faulty.bulk_paths] == [True]
    assert faulty.asked("/_refresh") == 1, "the refusal is remembered"


def test_key_with_the_right_to_refresh_refreshes_once_at_the_end(
    faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster)
    assert ["refresh=true" in path for path in faulty.bulk_paths] == [False]
    assert "/_refresh" in faulty.requests[-1][1]


@pytest.mark.parametrize(
    "answer",
    [
        (503, error_body("unavailable_shards_exception", "for a test", 503)),
        (200, b'{"_shards":{"total":2,"successful":1,"failed":1}}'),
        (401, error_body("security_exception", "for a test", 401)),
    ],
)
def test_refresh_that_fails_is_repeated_until_it_works(
    answer: tuple[int, bytes], faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    write_events(place.events, IDS)
    faulty.refresh_faults.extend([answer] * 3)
    outcome = place.ship_once(faulty_cluster)
    assert outcome.unsearchable is None
    assert "waits until all is searchable: events: the store" in place.said.getvalue()
    assert not faulty.refresh_faults


def test_right_to_refresh_that_is_lost_during_the_run_ends_it_with_a_notice(
    faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    write_events(place.events, IDS)
    faulty.refresh_faults.append((200, b'{"_shards":{"failed":0}}'))
    faulty.refresh_faults.append((403, error_body("security_exception", "for a test", 403)))
    assert place.ship_once(faulty_cluster).unsearchable is None
    assert "events: the store no longer lets this shipper refresh" in place.said.getvalue()


def test_stream_that_does_not_exist_has_nothing_to_refresh(
    faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    write_events(place.events, [])
    faulty.refresh_faults.append((404, error_body("index_not_found_exception", "for a test", 404)))
    assert place.ship_once(faulty_cluster).unsearchable is None
