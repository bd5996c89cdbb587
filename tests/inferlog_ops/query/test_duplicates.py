"""Events that are in the index more than once, counted by the digits of one number for fifteen of them."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.query import library
from inferlog_ops.query.run import fetch_rows
from tests.golden.reading import format_iso
from tests.support.indexing import create_fresh_cluster, index

START = datetime(2026, 11, 23, tzinfo=UTC)
A_BILLION = 10**9

Copies = dict[str, Counter[int]]
"""How often each sequence number of an instance is in the index."""


def put(cluster: Cluster, copies: Copies) -> None:
    """Index so many documents, each with an id of its own, as a second backing index lets them in."""
    index(
        cluster,
        "events",
        (
            {
                "@timestamp": format_iso(START + timedelta(seconds=place)),
                "event": {"id": f"{instance}-{place}", "sequence": sequence, "dataset": "inference.events"},
                "service": {"instance": {"id": instance}},
            }
            for instance, numbers in copies.items()
            for place, sequence in enumerate(numbers.elements())
        ),
    )


def count_duplicates(cluster: Cluster) -> tuple[dict[str, tuple[int, int]], tuple[int, int]]:
    """Return how many different events each instance has and how many copies too many; and the same of all."""
    end = START + timedelta(days=1)
    by_instance = {
        row["service.instance.id"]: (row["found"], row["duplicated"])
        for row in fetch_rows(cluster, library.find("duplicates_by_instance"), START, end)
    }
    (row,) = fetch_rows(cluster, library.find("duplicates"), START, end)
    return by_instance, (row["events"], row["duplicated"])


def test_up_to_nine_copies_of_each_event_are_counted_exactly(engine_url: str) -> None:
    random = Random(1)
    copies: Copies = {
        f"from {first}": Counter(
            {first + number: random.choice([0, 1, 1, 1, 2, 9]) for number in range(70)} | {first + 99: 1}
        )
        for first in (0, 1, 14, A_BILLION, *(random.randrange(A_BILLION) for _ in range(6)))
    }
    put(cluster := create_fresh_cluster(engine_url), copies)
    exact = {
        instance: (sum(map(bool, numbers.values())), numbers.total() - sum(map(bool, numbers.values())))
        for instance, numbers in copies.items()
    }
    by_instance, of_all = count_duplicates(cluster)
    assert by_instance == exact
    assert of_all == tuple(map(sum, zip(*exact.values(), strict=True)))


def test_more_copies_are_counted_to_a_few_and_never_hidden(engine_url: str) -> None:
    copies: Copies = {
        f"{count} of {place}": Counter(dict.fromkeys(range(15), 1) | {place: count})
        for count in (10, 19, 99, 100, 1_234)
        for place in (0, 7, 14)
    }
    put(cluster := create_fresh_cluster(engine_url), copies)
    by_instance, _ = count_duplicates(cluster)
    for instance, (found, duplicated) in by_instance.items():
        assert found + duplicated == copies[instance].total()
        assert abs(found - 15) <= 4
