"""What a long run has to show, and whether it did: pure functions of what was seen."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.results import Goal
from benchmarks.steadiness import TENTHS, TOLERANCE, Steadiness, early_and_late, in_tenths, steadiness

MEMORY_IS_JUDGED_FROM_SECONDS = 600.0
"""In less, what is warming up cannot be told from what leaks."""
PACE = 0.99
"""A machine that others use, too, may be too slow to be asked in time."""
LAG_P99_SECONDS = 5.0
LOOKS = 0.9
"""With fewer the tenths are no tenths of the run any more."""
MAY_GROW_BY = 0.5
"""How many there are goes up and down with each that is begun and deleted."""

Sample = dict[str, Any]


def goals(figures: dict[str, Any]) -> Iterator[Goal]:
    """Judge *figures*, as long_run.py puts them together."""
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
    # Or the lag would be judged by those events alone that were not lost sight of.
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
        found="nothing was found" if p99 is None else f"{p99:.2f} s of {lag['events']:,} events",
        met=p99 is not None and p99 <= LAG_P99_SECONDS,
    )
    looks = len(figures["samples"]) + len(failed_looks(figures))
    yield Goal(
        what="looks that succeeded",
        wanted=f"≥ {LOOKS:.0%}",
        found=f"{len(figures['samples']):,} of {looks:,}",
        met=len(figures["samples"]) >= looks * LOOKS > 0,
    )
    yield from goals_of_growth(figures["samples"], figures["seconds"])


def failed_looks(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return when and why a look failed; figures that are older know of none."""
    failed: list[dict[str, Any]] = figures.get("failed_looks", [])
    return failed


def goals_of_growth(samples: Sequence[Sample], seconds: float) -> Iterator[Goal]:
    """Judge what must not grow; of a run too short to tell, nothing is said."""
    if seconds < MEMORY_IS_JUDGED_FROM_SECONDS or len(samples) < TENTHS:
        return
    ours = [name for name in samples[0]["processes"] if name != "client"]
    for name in ours:
        if name != "engine":  # whose memory goes up and down with Java's heap
            yield flat(f"{name}: memory", steadiness(of_process(samples, name, "private_bytes")))
    yield live_heap(samples, seconds)
    yield flat("engine: memory besides heap and files", steadiness([beside_heap(sample) for sample in samples]))
    yield bounded("log files, most", [sample["log_files"] for sample in samples])
    yield bounded("bytes of log files, most", [sample["log_bytes"] for sample in samples])
    yield bounded("bytes of state, most", [sample["state_bytes"] for sample in samples])
    for name in ours:
        yield bounded(f"{name}: open files, most", of_process(samples, name, "open_files"))
        yield bounded(f"{name}: threads, most", of_process(samples, name, "threads"))


def live_heap(samples: Sequence[Sample], seconds: float) -> Goal:
    """Judge what collections early and late in the run have left."""
    collected = [sample for sample in samples if sample["heap"]["live_bytes"] is not None]
    early = [sample["heap"]["live_bytes"] for sample in collected if sample["after_seconds"] < seconds / 2]
    late = [sample["heap"]["live_bytes"] for sample in collected if sample["after_seconds"] >= seconds / 2]
    if not (early and late):
        found = f"collected {len(early)} times early and {len(late)} times late"
        return Goal(what="engine: live heap", wanted=f"±{TOLERANCE:.0%}", found=found, met=False)
    return flat("engine: live heap", early_and_late(early, late))


def beside_heap(sample: Sample) -> float:
    """Return what the engine's process has of memory that is neither Java's heap nor a file of the index."""
    return float(sample["processes"]["engine"]["private_bytes"] - sample["heap"]["committed_bytes"])


def of_process(samples: Sequence[Sample], name: str, figure: str) -> list[float]:
    return [sample["processes"][name][figure] for sample in samples]


def flat(what: str, seen: Steadiness) -> Goal:
    return Goal(
        what=what,
        wanted=f"±{TOLERANCE:.0%}",
        found=f"{seen.first / 1e6:.1f} → {seen.last / 1e6:.1f} MB ({seen.change:+.1%})",
        met=seen.within(),
    )


def bounded(what: str, values: Sequence[float]) -> Goal:
    """Judge that the most in the last tenth is not far above the most in the second: what is deleted comes and goes."""
    tenths = in_tenths(values)
    first, last = max(tenths[1]), max(tenths[-1])
    return Goal(
        what=what,
        wanted=f"+{MAY_GROW_BY:.0%} at most",
        found=f"{first:,.0f} → {last:,.0f}",
        met=last <= first * (1 + MAY_GROW_BY),
    )
