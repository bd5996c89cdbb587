"""Copies of a day of events."""

from datetime import timedelta

from benchmarks.copied_days import copy_day
from benchmarks.day_of_events import DAY, END, index_a_day
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.query import library
from inferlog_ops.query.run import fetch_rows


def count_requests(cluster: Cluster) -> int:
    rows = fetch_rows(cluster, library.find("requests_per_second"), END - DAY, END + timedelta(seconds=1))
    return sum(row["requests"] for row in rows)


def test_queries_read_every_copy_and_one_set_of_heartbeats(provisioned: Cluster) -> None:
    index_a_day(provisioned, 20, heartbeat_seconds=43_200)
    twice, thrice = copy_day(provisioned, 2), copy_day(provisioned, 3)
    assert [count_requests(each) for each in (provisioned, twice, thrice)] == [20, 40, 60]
    (heartbeats, again) = (
        fetch_rows(each, library.find("saturation_over_time"), END - DAY, END) for each in (provisioned, thrice)
    )
    assert heartbeats
    assert heartbeats == again


def test_copies_are_made_once(provisioned: Cluster) -> None:
    index_a_day(provisioned, 5, heartbeat_seconds=43_200)
    copy_day(provisioned, 2)
    assert count_requests(copy_day(provisioned, 2)) == 10
