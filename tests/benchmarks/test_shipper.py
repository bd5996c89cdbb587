"""The ways into Elasticsearch that are compared bring it the same: all events, each once."""

import pytest

from benchmarks.engines import Engine
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import stream_name
from tests.benchmarks.answers import answer_of

WAYS = ("bare loop", "shipper", "streaming_bulk")
EVENTS, TURNS, WARM_UP, GROWTH = 60, 1, 20, 30


@pytest.fixture(scope="module")
def found(engine_url: str) -> dict[str, list[dict[str, float]]]:
    report = answer_of(
        "shipper",
        *("--url", engine_url, "--ways", *WAYS, "--events", EVENTS, "--turns", TURNS),
        *("--warm-up", WARM_UP, "--growth", GROWTH),
    )
    assert not report["goals"], "so few events say nothing about a goal"
    figures: dict[str, list[dict[str, float]]] = report["figures"]["turns"]
    return figures


@pytest.mark.parametrize("way", WAYS)
def test_each_way_brings_all_events_in_as_many_turns(way: str, found: dict[str, list[dict[str, float]]]) -> None:
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
def test_what_each_way_says_to_have_brought_is_there(namespace: str, events: int, engine_url: str) -> None:
    stream = stream_name("events", namespace)
    with Cluster(url=engine_url, namespace=namespace).client() as client:
        client.indices.refresh(index=stream)
        assert client.count(index=stream)["count"] == events


def test_the_processor_time_of_an_engine_that_is_none_of_ours_is_not_known() -> None:
    assert Engine(url="http://127.0.0.1:9200").cpu_seconds() == 0
