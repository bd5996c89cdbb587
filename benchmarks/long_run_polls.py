"""Polls of a long run's processes, files and index from outside."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import elasticsearch
import orjson
import psutil

from benchmarks.command_line import log_progress
from benchmarks.lag_probe import LagProbe
from benchmarks.paced_client import compute_quantiles
from benchmarks.pipeline import RunningStore, find_workers, measure_files
from benchmarks.vitals import Vitals, measure_heap, measure_vitals, read_busy_seconds
from inferlog_ops.core.children import Child
from inferlog_ops.core.home import Home
from inferlog_ops.core.streams import build_stream_name

COLLECTIONS = tuple(share / 100 for share in (*range(10, 20, 2), *range(90, 100, 2)))
"""
Times of full garbage collections of the engine, as shares of the run: five in its second tenth and five in its last.
Between them the heap is left alone, as in ordinary use.
"""
FAILURES = (
    *(psutil.Error, OSError, subprocess.SubprocessError),  # a process has ended, or does not answer
    *(elasticsearch.ApiError, elasticsearch.TransportError),
    *(LookupError, ValueError),  # an answer is cut short
)
"""Errors of a poll on a busy machine; the next poll may succeed."""

Sample = dict[str, Any]


class PipelinePoller:
    """
    Poller of all processes, files and the index.

    Args:
        store: Engine and shipper.
        server: The service.
        load: Its client.
        probe: Probe of the events' lag.
        seconds: Duration of the run.
    """

    def __init__(self, store: RunningStore, server: Child, load: Child, probe: LagProbe, seconds: float) -> None:
        self._store, self._load, self._probe = store, load, probe
        self._collections = [share * seconds for share in COLLECTIONS]
        self._pids = {"engine": store.engine_pid, "shipper": store.shipper.pid, "client": load.pid}
        self._pids |= {f"worker {number}": pid for number, pid in enumerate(find_workers(server), start=1)}
        self._files = LogFiles(store.home.logs)
        self._before, self._machine_before = self._measure_vitals(), read_busy_seconds()

    def poll(self, after_seconds: float) -> Sample:
        """Return one sample; usage counts since the last successful poll."""
        collect = bool(self._collections) and after_seconds >= self._collections[0]
        if collect:
            self._collections.pop(0)
        now, machine = self._measure_vitals(), read_busy_seconds()
        passed_seconds = now["client"].at_seconds - self._before["client"].at_seconds
        sample = {
            "after_seconds": round(after_seconds, 1),
            "load_average": os.getloadavg()[0],
            "machine_cores": (machine - self._machine_before) / passed_seconds,
            "client": read_last_line(self._load),
            "processes": {
                name: asdict(seen) | {"cores": seen.compute_cores_since(self._before[name])}
                for name, seen in now.items()
            },
            "heap": asdict(measure_heap(self._store.cluster, self._store.engine_pid, collect=collect)),
            **self._files.poll(),
            **measure_state(self._store.home),
            **measure_index(self._store),
            **summarize_lag(self._probe),
        }
        self._before, self._machine_before = now, machine
        with (self._store.home.output / "samples.jsonl").open("ab") as kept:  # survives a kill -9
            kept.write(orjson.dumps(sample, option=orjson.OPT_APPEND_NEWLINE))
        return sample

    def _measure_vitals(self) -> dict[str, Vitals]:
        return {name: measure_vitals(pid) for name, pid in self._pids.items()}


def add_sample(figures: dict[str, Any], poll: Callable[[float], Sample], after_seconds: float) -> None:
    """Append a sample of *poll* to *figures*; record a failed poll and its reason without ending the run."""
    try:
        sample = poll(after_seconds)
    except FAILURES as failure:
        why = f"{type(failure).__name__}: {failure}"
        figures["failed_looks"].append({"after_seconds": round(after_seconds, 1), "why": why})
        log_progress(f"{after_seconds:.0f} s: this poll failed: {why}")
    else:
        figures["samples"].append(sample)
        log_progress(format_progress(sample))


def summarize_lag(probe: LagProbe) -> Sample:
    p50, p99 = compute_quantiles(probe.take_recent_lags())
    return {
        "found": probe.found,
        "lag_p50_seconds": p50,
        "lag_p99_seconds": p99,
        "probe_look_seconds": probe.poll_seconds / max(1, probe.polls),
        "probe_failures": probe.failures,
    }


class LogFiles:
    """Log files of the service and the shipper: those present, and the total created."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun: set[str] = set()

    def poll(self) -> Sample:
        # Each file exists longer than the interval between polls.
        self._begun |= {path.name for path in self._folder.glob("*.jsonl")}
        files, size_bytes = measure_files(self._folder, "*.jsonl")
        return {"log_files": files, "log_bytes": size_bytes, "log_files_begun": len(self._begun)}


def measure_state(home: Home) -> Sample:
    own_files, own_bytes = measure_files(home.shipper_state)
    published_files, published_bytes = measure_files(home.logs / ".shipped")
    return {"state_files": own_files + published_files, "state_bytes": own_bytes + published_bytes}


def measure_index(store: RunningStore) -> dict[str, int]:
    """Return documents, bytes and segments of the events' index."""
    with store.cluster.build_client() as client:
        stats = client.indices.stats(
            index=build_stream_name("events", store.cluster.namespace),
            metric="docs,store,segments",
            filter_path="_all.total",
        )["_all"]["total"]
    return {
        "index_documents": stats["docs"]["count"],
        "index_bytes": stats["store"]["size_in_bytes"],
        "index_segments": stats["segments"]["count"],
    }


def read_last_line(load: Child) -> dict[str, Any]:
    """Return the last line of the client's output."""
    lines = load.output_file.read_bytes().rpartition(b"\n")[0].splitlines()
    if not lines:
        return {"sent": 0, "answered": 0, "failed": 0, "ended": False, "p50_seconds": None, "p99_seconds": None}
    line: dict[str, Any] = orjson.loads(lines[-1])
    return line


def format_progress(sample: Sample) -> str:
    processes = " ".join(
        f"{name} {seen['resident_bytes'] / 1e6:.0f} MB {seen['cores']:.2f}"
        for name, seen in sample["processes"].items()
    )
    live = sample["heap"]["live_bytes"]
    return (
        f"{sample['after_seconds']:.0f} s: {sample['client']['answered']:,} answered, {sample['found']:,} found, "
        f"lag p99 {sample['lag_p99_seconds'] or float('nan'):.2f} s, {processes}, "
        f"{sample['log_files']} files {sample['log_bytes'] / 1e6:.0f} MB, state {sample['state_bytes']:,} bytes, "
        f"index {sample['index_bytes'] / 1e6:.0f} MB, machine {sample['machine_cores']:.1f} cores, "
        f"load {sample['load_average']:.1f}, poll {sample['probe_look_seconds'] * 1e3:.0f} ms"
        + (f", live heap {live / 1e6:.0f} MB" if live else "")
        + (f", {failed:,} polls for events failed" if (failed := sample["probe_failures"]) else "")
    )
