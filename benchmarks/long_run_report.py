"""The figures of a long run as tables: for a terminal, or in Markdown for a page."""

import io
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.box import MARKDOWN, ROUNDED, Box
from rich.console import Console, Group
from rich.table import Table
from steadiness import TENTHS, in_tenths

Sample = dict[str, Any]
ValueOf = Callable[[Sample], float | None]
_WIDTH = 220


def as_tables(result: dict[str, Any]) -> str:
    return _rendered(result, ROUNDED)


def as_markdown(result: dict[str, Any]) -> str:
    return _rendered(result, MARKDOWN)


def _rendered(result: dict[str, Any], box: Box) -> str:
    text = io.StringIO()
    console = Console(file=text, width=_WIDTH, highlight=False, markup=False)
    loads = [sample["load_average"] for sample in result["samples"]]
    console.print(
        f"{result['began']}, {result['machine']}; {result['seconds']:.0f} s at {result['rate']:g} requests/s, "
        f"{result['workers']} workers; load average {min(loads):.1f} to {max(loads):.1f}"
    )
    console.print(Group("", _verdicts(result["verdicts"], box), "", _course(result["samples"], box)))
    return "\n".join(line.strip() for line in text.getvalue().splitlines())


def _verdicts(verdicts: Iterable[dict[str, Any]], box: Box) -> Table:
    table = Table("promise", "found", "", box=box)
    for verdict in verdicts:
        table.add_row(verdict["promise"], verdict["found"], "holds" if verdict["held"] else "DOES NOT HOLD")
    return table


def _course(samples: Sequence[Sample], box: Box) -> Table:
    table = Table("", box=box)
    parts = in_tenths(samples) if len(samples) >= TENTHS else [samples]
    for part in parts:
        table.add_column(f"to {part[-1]['after_seconds'] / 60:.0f} min", justify="right")
    for name, value_of in _rows(samples[0]):
        table.add_row(name, *(_shown([value_of(sample) for sample in part]) for part in parts))
    return table


def _rows(sample: Sample) -> Iterable[tuple[str, ValueOf]]:
    """Yield each row's name and what it takes out of a sample."""
    yield "events found", _at("found")
    yield "written → searchable, p50 s", _at("lag_p50_seconds")
    yield "written → searchable, p99 s", _at("lag_p99_seconds")
    yield "request p50, ms", _at("client", "p50_seconds", unit=1e-3)
    yield "request p99, ms", _at("client", "p99_seconds", unit=1e-3)
    for name in sample["processes"]:
        yield f"{name}: resident MB", _at("processes", name, "resident_bytes", unit=1e6)
        yield f"{name}: of which no files", _at("processes", name, "private_bytes", unit=1e6)
        yield f"{name}: proportional MB", _at("processes", name, "proportional_bytes", unit=1e6)
        yield f"{name}: processors", _at("processes", name, "cores")
        yield f"{name}: open files", _at("processes", name, "open_files")
        yield f"{name}: threads", _at("processes", name, "threads")
    yield "heap: live after a collection, MB", _at("heap", "live_bytes", unit=1e6)
    yield "heap: taken of the system, MB", _at("heap", "committed_bytes", unit=1e6)
    yield "log files", _at("log_files")
    yield "log files begun so far", _at("log_files_begun")
    yield "log files, MB", _at("log_bytes", unit=1e6)
    yield "state files", _at("state_files")
    yield "state, kB", _at("state_bytes", unit=1e3)
    yield "index, MB", _at("index_bytes", unit=1e6)
    yield "index: segments", _at("index_segments")
    yield "processors busy, others' work included", _at("machine_cores")
    yield "load average", _at("load_average")


def _at(*path: str, unit: float = 1.0) -> ValueOf:
    """Return what takes the figure at *path* out of a sample, in *unit*."""

    def value_of(sample: Sample) -> float | None:
        value: Any = sample
        for key in path:
            value = value[key]
        return None if value is None else value / unit

    return value_of


def _shown(values: Iterable[float | None]) -> str:
    """Show the median of what there is."""
    there = [value for value in values if value is not None]
    if not there:
        return "-"
    middle = statistics.median(there)
    return f"{middle:,.0f}" if middle >= 100 or middle == int(middle) else f"{middle:.2f}"
