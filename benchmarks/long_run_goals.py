"""Goals of a long run: pure functions of its figures."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.benchmark_report import Goal
from benchmarks.steadiness import (
    TENTHS,
    TOLERANCE,
    Steadiness,
    compare_early_and_late,
    measure_steadiness,
    split_into_tenths,
)

MEMORY_IS_JUDGED_FROM_SECONDS = 600.0
"""Minimum run time to distinguish a leak from warm-up."""
PACE = 0.99
"""Share of the requested rate: a shared machine may be too slow for all of it."""
LAG_P99_SECONDS = 5.0
SUCCESSFUL_POLLS = 0.9
"""Minimum share of successful polls: with fewer, the tenths no longer represent the run."""
MAY_GROW_BY = 0.5
"""Tolerance for counts that vary with each new and deleted file."""

Sample = dict[str, Any]


def judge(figures: dict[str, Any]) -> Iterator[Goal]:
    """Judge the *figures* of long_run.py."""
    sent, findings, lag = figures["sent"], figures["findings"], figures["lag"]
    yield Goal(
        what="requests answered",
        wanted="all",
        found=f"{sent['answered']:,} of {sent['sent']:,}" + (f" ({sent['why']})" if sent["why"] else ""),
        met=sent["answered"] == sent["sent"] > 0,
    )
    due = round(figures["seconds"] * figures["rate"])
    yield Goal(
        what="pace kept",
        wanted=f"{PACE:.0%} of {figures['rate']:g} requests/s",
        found=f"{sent['sent'] / figures['seconds']:.1f}",
        met=sent["sent"] >= due * PACE,
    )
    yield Goal(what="events lost", wanted="0", found=f"{findings['lost']:,}", met=findings["lost"] == 0)
    yield Goal(
        what="events duplicated", wanted="0", found=f"{findings['duplicated']:,}", met=findings["duplicated"] == 0
    )
    yield Goal(
        what="events of no request", wanted="0", found=f"{findings['unexpected']:,}", met=findings["unexpected"] == 0
    )
    # Otherwise the lag would be judged by only the events that were found.
    yield Goal(
        what="written → searchable, events timed",
        wanted="all that were sent",
        found=f"{lag['events']:,} of {sent['sent']:,}",
        met=lag["events"] >= sent["sent"] > 0,
    )
    p99 = lag["p99_seconds"]
    yield Goal(
        what="written → searchable, p99",
        wanted=f"≤ {LAG_P99_SECONDS:.0f} s",
        found="no event was found" if p99 is None else f"{p99:.2f} s of {lag['events']:,} events",
        met=p99 is not None and p99 <= LAG_P99_SECONDS,
    )
    polls = len(figures["samples"]) + len(find_failed_polls(figures))
    yield Goal(
        what="polls that succeeded",
        wanted=f"≥ {SUCCESSFUL_POLLS:.0%}",
        found=f"{len(figures['samples']):,} of {polls:,}",
        met=len(figures["samples"]) >= polls * SUCCESSFUL_POLLS > 0,
    )
    yield from judge_growth(figures["samples"], figures["seconds"])


def find_failed_polls(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return time and reason of each failed poll; older figures lack them."""
    failed: list[dict[str, Any]] = figures.get("failed_looks", [])
    return failed


def judge_growth(samples: Sequence[Sample], seconds: float) -> Iterator[Goal]:
    """Judge the growth of memory and files, unless the run is too short."""
    if seconds < MEMORY_IS_JUDGED_FROM_SECONDS or len(samples) < TENTHS:
        return
    ours = [name for name in samples[0]["processes"] if name != "client"]
    for name in ours:
        if name != "engine":  # its memory varies with Java's heap
            yield judge_flat(
                f"{name}: memory", measure_steadiness(extract_process_figure(samples, name, "private_bytes"))
            )
    yield judge_live_heap(samples, seconds)
    yield judge_flat(
        "engine: memory outside heap and files",
        measure_steadiness([measure_outside_heap(sample) for sample in samples]),
    )
    yield judge_bounded("log files, most", [sample["log_files"] for sample in samples])
    yield judge_bounded("bytes of log files, most", [sample["log_bytes"] for sample in samples])
    yield judge_bounded("bytes of state, most", [sample["state_bytes"] for sample in samples])
    for name in ours:
        yield judge_bounded(f"{name}: open files, most", extract_process_figure(samples, name, "open_files"))
        yield judge_bounded(f"{name}: threads, most", extract_process_figure(samples, name, "threads"))


def judge_live_heap(samples: Sequence[Sample], seconds: float) -> Goal:
    """Compare the live heap after early and late collections."""
    collected = [sample for sample in samples if sample["heap"]["live_bytes"] is not None]
    early = [sample["heap"]["live_bytes"] for sample in collected if sample["after_seconds"] < seconds / 2]
    late = [sample["heap"]["live_bytes"] for sample in collected if sample["after_seconds"] >= seconds / 2]
    if not (early and late):
        found = f"collected {len(early)} times early and {len(late)} times late"
        return Goal(what="engine: live heap", wanted=f"±{TOLERANCE:.0%}", found=found, met=False)
    return judge_flat("engine: live heap", compare_early_and_late(early, late))


def measure_outside_heap(sample: Sample) -> float:
    """Return the engine's memory that is neither Java heap nor index files."""
    return float(sample["processes"]["engine"]["private_bytes"] - sample["heap"]["committed_bytes"])


def extract_process_figure(samples: Sequence[Sample], name: str, figure: str) -> list[float]:
    return [sample["processes"][name][figure] for sample in samples]


def judge_flat(what: str, seen: Steadiness) -> Goal:
    return Goal(
        what=what,
        wanted=f"±{TOLERANCE:.0%}",
        found=f"{seen.first / 1e6:.1f} → {seen.last / 1e6:.1f} MB ({seen.change:+.1%})",
        met=seen.is_within(),
    )


def judge_bounded(what: str, values: Sequence[float]) -> Goal:
    """Compare the maximum of the last tenth with that of the second, because files come and go."""
    tenths = split_into_tenths(values)
    first, last = max(tenths[1]), max(tenths[-1])
    return Goal(
        what=what,
        wanted=f"+{MAY_GROW_BY:.0%} at most",
        found=f"{first:,.0f} → {last:,.0f}",
        met=last <= first * (1 + MAY_GROW_BY),
    )
