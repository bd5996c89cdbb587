"""Compared variants of shipping: each ships all events once."""

import pytest

from benchmarks.engines import Engine
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import build_stream_name
from tests.benchmarks.benchmark_runs import run_benchmark

WAYS = ("bare loop", "shipper", "streaming_bulk")
EVENTS, TURNS, WARM_UP, GROWTH = 60, 1, 20, 30


@pytest.fixture(scope="module")
def found(engine_url: str) -> dict[str, list[dict[str, float]]]:
    report = run_benchmark(
        "shipper",
        *("--url", engine_url, "--ways", *WAYS, "--events", EVENTS, "--turns", TURNS),
        *("--warm-up", WARM_UP, "--growth", GROWTH),
    )
    assert not report["goals"], "too few events to judge a goal"
    figures: dict[str, list[dict[str, float]]] = report["figures"]["turns"]
    return figures


@pytest.mark.parametrize("way", WAYS)
def test_each_variant_ships_all_events_in_equal_turns(way: str, found: dict[str, list[dict[str, float]]]) -> None:
    assert [turn["events"] for turn in found[way]] == [EVENTS // TURNS] * TURNS
    assert all(turn["seconds"] > 0 and turn["file_bytes"] > 0 and turn["resident_bytes"] > 0 for turn in found[way])


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize(
    ("namespace", "events"),
    [
        ("benchmark.bare.loop", EVENTS + WARM_UP),
        ("benchmark.shipper", EVENTS + GROWTH),
        ("benchmark.streaming_bulk", EVENTS),
    ],
)
def test_events_reported_by_each_variant_are_in_the_store(namespace: str, events: int, engine_url: str) -> None:
    stream = build_stream_name("events", namespace)
    with Cluster(url=engine_url, namespace=namespace).build_client() as client:
        client.indices.refresh(index=stream)
        assert client.count(index=stream)["count"] == events


def test_processor_time_of_foreign_engine_is_unknown() -> None:
    assert Engine(url="http://127.0.0.1:9200").read_cpu_seconds() == 0
