import pytest

from inferlog_ops.core import snapshot
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.snapshot import Snapshot
from tests.support.indexing import index
from tests.support.renewed_points import renew_points


def test_pages_are_read_on_after_the_id_of_the_point_in_time_has_changed(
    provisioned: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {f"e{number}": f"2026-11-23T06:00:0{number}.000Z" for number in range(3)}
    index(provisioned, "events", ({"@timestamp": time, "event": {"id": name}} for name, time in times.items()))
    monkeypatch.setattr(snapshot, "_PAGE", 2)
    accepted = renew_points(monkeypatch)
    with Snapshot.open_events(provisioned) as taken:
        first, second = taken.read_pages({"match_all": {}}, ["event.id"])
        assert len(taken.aggregate({"match_all": {}}, {"terms": {"field": "event.id"}})) == 3
    assert (len(first), len(second)) == (2, 1)
    assert {event["event.id"][0] for event in first + second} == set(times)
    assert accepted == [False] * 4
