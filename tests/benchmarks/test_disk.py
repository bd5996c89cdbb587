"""Disk usage of the same events in indices of different modes."""

from typing import Any

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import build_stream_name
from tests.benchmarks.benchmark_runs import run_benchmark

EVENTS = 40


@pytest.fixture(scope="module")
def figures(engine_url: str) -> dict[str, object]:
    found: dict[str, object] = run_benchmark("disk", "--url", engine_url, "--events", EVENTS)["figures"]
    return found


def test_disk_usage_is_measured_for_each_mode_and_files(figures: dict[str, Any]) -> None:
    (weighed,) = figures["weighed"]
    stored = weighed["stored_bytes"]
    assert isinstance(stored, dict)
    assert set(stored) == {"logsdb, as provisioned", "standard mode", "logsdb, synthetic source"}
    assert stored["logsdb, synthetic source"] < stored["logsdb, as provisioned"]
    assert "_source" in figures["fields_bytes"]


@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize(
    ("number", "mode", "source"), [(0, "logsdb", "stored"), (1, "standard", "stored"), (2, "logsdb", "synthetic")]
)
def test_indices_have_the_modes_of_their_names(number: int, mode: str, source: str, engine_url: str) -> None:
    namespace = f"disk.{number}.{EVENTS}"
    stream = build_stream_name("events", namespace)
    with Cluster(url=engine_url, namespace=namespace).build_client() as client:
        (settings,) = (found["settings"]["index"] for found in client.indices.get_settings(index=stream).values())
        assert (settings["mode"], settings["mapping"]["source"]["mode"]) == (mode, source)
        assert client.count(index=stream)["count"] == EVENTS
