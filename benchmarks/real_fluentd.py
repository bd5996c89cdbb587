"""Real Fluentd with the committed configuration, if installed."""

import re
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.engines import Engine
from benchmarks.log_files import measure_size_bytes
from benchmarks.ways_to_ship import FLUENTD, ShippingTurn, build_namespace
from inferlog_ops.core.children import Child
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import build_stream_name

CONFIGURATION = Path(__file__).parents[1] / "fluentd" / "fluent.conf"
READY_SECONDS = 120.0
LONGEST_SECONDS = 1800.0


def is_installed() -> bool:
    return shutil.which("fluentd") is not None


@contextmanager
def run_fluentd(configuration: Path, output: Path, environment: Mapping[str, str]) -> Iterator[Child]:
    """Run Fluentd with *configuration* and its log in *output* until the end of the block."""
    child = Child(
        "fluentd", ["fluentd", "--no-supervisor", "-c", str(configuration)], output=output, environment=environment
    )
    try:
        child.wait_until(
            lambda: b"fluentd worker is now running" in child.output_file.read_bytes(), timeout_seconds=READY_SECONDS
        )
        yield child
    finally:
        child.stop()


def take_turn(engine: Engine, logs: Path) -> ShippingTurn:
    """Let Fluentd ship the files in *logs*, which are moved into its folder once it runs."""
    cluster = Cluster(url=engine.url, namespace=build_namespace(FLUENTD))
    watched = logs / "watched"
    watched.mkdir()
    settings = {
        "ELASTICSEARCH_URL": engine.url,
        "ELASTICSEARCH_MAJOR_VERSION": "8",
        "INFERLOG_NAMESPACE": cluster.namespace,
        "INFERLOG_LOG_DIR": str(watched),
        "INFERLOG_FLUENTD_STATE": str(logs / "state"),
        "INFERLOG_FLUENTD_MONITOR_PORT": str(find_free_port()),
        # The delay until it finds the files is not measured.
        "INFERLOG_FLUENTD_REFRESH_INTERVAL": "0.1s",
    }
    file_bytes = measure_size_bytes(logs)
    events = sum(path.read_bytes().count(b"\n") for path in logs.glob("*.jsonl"))
    with run_fluentd(CONFIGURATION, logs, settings) as child, cluster.build_client() as client:

        def stored() -> int:
            # Counts indexed documents, searchable or not, without a refresh.
            stats = client.indices.stats(index=build_stream_name("events", cluster.namespace), metric="indexing")
            total: int = stats["_all"]["primaries"]["indexing"]["index_total"]
            return total

        process, wanted = psutil.Process(child.pid), stored() + events
        engine_before, cpu_before, began = engine.read_cpu_seconds(), sum(process.cpu_times()[:2]), time.perf_counter()
        for path in logs.glob("*.jsonl"):
            path.rename(watched / path.name)
        while stored() < wanted:
            child.check()
            assert time.perf_counter() - began < LONGEST_SECONDS
            time.sleep(0.1)
        return ShippingTurn(
            events=events,
            file_bytes=file_bytes,
            seconds=time.perf_counter() - began,
            cpu_seconds=sum(process.cpu_times()[:2]) - cpu_before,
            engine_cpu_seconds=engine.read_cpu_seconds() - engine_before,
            resident_bytes=read_peak_resident_bytes(child.pid),
        )


def read_peak_resident_bytes(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
