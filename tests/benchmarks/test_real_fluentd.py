"""Fluentd's turn, if installed."""

from pathlib import Path

import pytest

from benchmarks import real_fluentd
from benchmarks.engines import Engine
from benchmarks.log_files import measure_size_bytes, write_logs
from benchmarks.ways_to_ship import FLUENTD, build_namespace
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster

pytestmark = [
    pytest.mark.fluentd,
    pytest.mark.skipif(not real_fluentd.is_installed(), reason="Fluentd is not installed"),
]


def test_fluentd_ships_all_events(engine_url: str, tmp_path: Path) -> None:
    provision_cluster(Cluster(url=engine_url, namespace=build_namespace(FLUENTD)))
    logs = write_logs(tmp_path / "logs", 50, 2)
    size = measure_size_bytes(logs)
    turn = real_fluentd.take_turn(Engine(url=engine_url), logs)
    assert (turn.events, turn.file_bytes) == (50, size)
    assert turn.cpu_seconds > 0
    assert turn.resident_bytes > 1_000_000
