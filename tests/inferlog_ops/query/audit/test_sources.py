"""Events and counts of heartbeats in the index: all of them, but no count that events may not have followed yet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.query.audit.chain import HeartbeatCount
from inferlog_ops.query.audit.sources import read_counts_from_index, read_events_from_index
from inferlog_ops.query.run import LAST_TIME
from tests.support.chains import build_chain
from tests.support.indexing import index, index_many
from tests.support.renewed_points import renew_points

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def make_heartbeat(instance: str, moment: datetime, written: int) -> dict[str, Any]:
    return {
        "@timestamp": moment.isoformat(),
        "service": {"instance": {"id": instance}},
        "events_written": written,
        "events_dropped": 1,
    }


def read_counts(cluster: Cluster, end: datetime = LAST_TIME) -> dict[str, HeartbeatCount]:
    with cluster.build_client() as client:
        return read_counts_from_index(client, cluster, NOW - timedelta(days=1), end, NOW)


def test_counts_of_more_instances_than_one_answer_has_rows_are_read(provisioned: Cluster) -> None:
    names = [f"i{number:05d}" for number in range(10_003)]
    index_many(provisioned, "health", (make_heartbeat(name, NOW - timedelta(hours=1), 7) for name in names))
    assert read_counts(provisioned) == dict.fromkeys(names, HeartbeatCount(written=7, dropped=1))


def test_heartbeat_of_the_last_minute_is_not_counted_and_one_of_the_future_is_reported(provisioned: Cluster) -> None:
    seconds_and_written = [(-61, 7), (-59, 8), (59, 9)]
    beats = [make_heartbeat("here", NOW + timedelta(seconds=at), written) for at, written in seconds_and_written]
    index_many(provisioned, "health", [*beats, make_heartbeat("fast", NOW + timedelta(hours=1), 9)])
    here, fast = HeartbeatCount(written=7, dropped=1), HeartbeatCount(is_ahead=True)
    assert read_counts(provisioned) == {"here": here, "fast": fast}
    assert read_counts(provisioned, end=NOW) == {"here": here}


def test_events_are_read_on_after_the_id_of_the_point_in_time_has_changed(
    provisioned: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = build_chain(NOW - timedelta(seconds=number) for number in range(2_001))
    index(provisioned, "events", events)
    accepted = renew_points(monkeypatch)
    with provisioned.build_client() as client:
        read = list(read_events_from_index(client, provisioned, NOW - timedelta(days=1), LAST_TIME))
    assert read == events
    assert accepted == [False] * 3
