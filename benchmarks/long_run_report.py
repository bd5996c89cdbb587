"""Report of a long run: tables with one column for each tenth."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from benchmarks.benchmark_report import BenchmarkReport, Table
from benchmarks.long_run_goals import find_failed_polls, judge, measure_outside_heap
from benchmarks.steadiness import TENTHS, split_into_tenths

Sample = dict[str, Any]
ValueOf = Callable[[Sample], float | None]


def build_report(figures: dict[str, Any]) -> BenchmarkReport:
    """Judge the *figures* of long_run.py, and summarize them by tenths."""
    samples = figures["samples"]
    topics = _build_topics(list(samples[0]["processes"])) if samples else {}
    return BenchmarkReport(
        figures=figures,
        tables=[_build_table(title, rows, samples) for title, rows in topics.items()],
        goals=[] if "ended_early" in figures else list(judge(figures)),
        remarks=list(_write_remarks(figures)),
    )


def _write_remarks(figures: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{figures['began']}, {figures['machine']}; {figures['seconds']:g} s at {figures['rate']:g} requests/s, "
        f"{figures['workers']} workers."
    )
    if samples := figures["samples"]:
        loads = [sample["load_average"] for sample in samples]
        yield f"Medians of tenths; load {min(loads):.1f} to {max(loads):.1f}."
    if failed := find_failed_polls(figures):
        last = failed[-1]
        yield f"{len(failed):,} polls failed, the last after {last['after_seconds']:.0f} s: {last['why']}."
    if "ended_early" in figures:
        yield (
            f"It ended early, after {samples[-1]['after_seconds']:.0f} of {figures['seconds']:.0f} s, "
            f"and is not judged: {figures['ended_early']}"
        )


def _build_topics(processes: Sequence[str]) -> dict[str, list[tuple[str, ValueOf]]]:
    """Return each table's rows: a name, and a function that extracts the figure of a sample."""
    return {
        "Events": [
            ("found", _read_at("found")),
            ("failed polls so far", _read_at("probe_failures")),
            ("written → searchable, p50 s", _read_at("lag_p50_seconds")),
            ("written → searchable, p99 s", _read_at("lag_p99_seconds")),
            ("request since it was due, p50 ms", _read_at("client", "p50_seconds", unit=1e-3)),
            ("request since it was due, p99 ms", _read_at("client", "p99_seconds", unit=1e-3)),
            ("load average", _read_at("load_average")),
            ("busy processors, all processes", _read_at("machine_cores")),
            *((f"processors busy: {name}", _read_at("processes", name, "cores")) for name in processes),
        ],
        "Memory, MB": [
            *((f"{name}: resident", _read_at("processes", name, "resident_bytes", unit=1e6)) for name in processes),
            *(
                (f"{name}: resident, without files", _read_at("processes", name, "private_bytes", unit=1e6))
                for name in processes
            ),
            *(
                (f"{name}: proportional", _read_at("processes", name, "proportional_bytes", unit=1e6))
                for name in processes
            ),
            ("engine: resident, outside heap and files", lambda sample: measure_outside_heap(sample) / 1e6),
            ("engine: heap taken of the system", _read_at("heap", "committed_bytes", unit=1e6)),
            ("engine: live heap after a collection", _read_at("heap", "live_bytes", unit=1e6)),
        ],
        "Open files and threads": [
            *((f"{name}: open files", _read_at("processes", name, "open_files")) for name in processes),
            *((f"{name}: threads", _read_at("processes", name, "threads")) for name in processes),
        ],
        "On the disk": [
            ("log files", _read_at("log_files")),
            ("log files begun so far", _read_at("log_files_begun")),
            ("log files, MB", _read_at("log_bytes", unit=1e6)),
            ("state: files", _read_at("state_files")),
            ("state, kB", _read_at("state_bytes", unit=1e3)),
            ("index, MB", _read_at("index_bytes", unit=1e6)),
            ("index: segments", _read_at("index_segments")),
        ],
    }


def _read_at(*path: str, unit: float = 1.0) -> ValueOf:
    """Return a function that extracts the figure at *path* of a sample, in *unit*."""

    def value_of(sample: Sample) -> float | None:
        value: Any = sample
        for key in path:
            value = value[key]
        return None if value is None else value / unit

    return value_of


def _build_table(title: str, rows: Iterable[tuple[str, ValueOf]], samples: Sequence[Sample]) -> Table:
    parts = split_into_tenths(samples) if len(samples) >= TENTHS else [samples]
    return Table(
        title=title,
        columns=("", *_format_ends(parts)),
        rows=[[name, *(_format_median(map(value_of, part)) for part in parts)] for name, value_of in rows],
    )


def _format_ends(parts: Iterable[Sequence[Sample]]) -> Iterator[str]:
    for part in parts:
        seconds = part[-1]["after_seconds"]
        yield f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def _format_median(values: Iterable[float | None]) -> str:
    """Format the median of the values present."""
    there = [value for value in values if value is not None]
    if not there:
        return "-"
    middle = statistics.median(there)
    return f"{middle:,.0f}" if middle >= 100 or middle == int(middle) else f"{middle:.2f}"
