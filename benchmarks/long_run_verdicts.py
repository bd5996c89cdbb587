"""What a long run has to show, and whether it did: pure functions of what was seen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from steadiness import TENTHS, TOLERANCE, Steadiness, halves, in_tenths, steadiness

MEMORY_IS_JUDGED_FROM_SECONDS = 600.0
"""In less, what is warming up cannot be told from what leaks."""
PACE = 0.99
"""A machine that others use, too, may be too slow to be asked in time."""
LAG_P99_SECONDS = 5.0
FILES_MAY_GROW_BY = 0.5
"""How many there are goes up and down with each that is begun and deleted."""

Sample = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    One promise.

    Attributes:
        promise: What was to hold.
        found: What was seen.
        held: Whether it holds.
    """

    promise: str
    found: str
    held: bool


def verdicts(result: dict[str, Any]) -> Iterator[Verdict]:
    """Judge *result*, as long_run.py puts it together."""
    sent, findings, lag = result["sent"], result["findings"], result["lag"]
    yield Verdict(
        promise="every request answered",
        found=f"{sent['answered']:,} of {sent['sent']:,}" + (f" ({sent['why']})" if sent["why"] else ""),
        held=sent["answered"] == sent["sent"] > 0,
    )
    due = round(result["seconds"] * result["rate"])
    yield Verdict(
        promise=f"the pace kept, {PACE:.0%}",
        found=f"{sent['sent'] / result['seconds']:.1f} of {result['rate']:g} requests/s",
        held=sent["sent"] >= due * PACE,
    )
    yield Verdict(promise="lost: 0", found=f"{findings['lost']:,}", held=findings["lost"] == 0)
    yield Verdict(promise="duplicated: 0", found=f"{findings['duplicated']:,}", held=findings["duplicated"] == 0)
    p99 = lag["p99_seconds"]
    yield Verdict(
        promise=f"written → searchable, p99 ≤ {LAG_P99_SECONDS:.0f} s",
        found="nothing was found" if p99 is None else f"{p99:.2f} s over {lag['events']:,} events",
        held=p99 is not None and p99 <= LAG_P99_SECONDS,
    )
    yield from verdicts_of_growth(result["samples"], result["seconds"])


def verdicts_of_growth(samples: Sequence[Sample], seconds: float) -> Iterator[Verdict]:
    """Judge what must not grow; of a run too short to tell, nothing is said."""
    if seconds < MEMORY_IS_JUDGED_FROM_SECONDS or len(samples) < TENTHS:
        return
    ours = [name for name in samples[0]["processes"] if name != "client"]
    for name in ours:
        if name != "engine":  # of whose memory most are files of the index, which grows
            yield flat(f"memory of {name}", steadiness(of_process(samples, name, "resident_bytes")))
    live = [sample["heap"]["live_bytes"] for sample in samples if sample["heap"]["live_bytes"] is not None]
    yield flat("live heap of the engine", halves(live))
    yield bounded("log files", [sample["log_files"] for sample in samples])
    yield bounded("bytes of log files", [sample["log_bytes"] for sample in samples])
    yield bounded("bytes of state", [sample["state_bytes"] for sample in samples])
    for name in ours:
        yield bounded(f"open files of {name}", of_process(samples, name, "open_files"))
        yield bounded(f"threads of {name}", of_process(samples, name, "threads"))


def of_process(samples: Sequence[Sample], name: str, figure: str) -> list[float]:
    return [sample["processes"][name][figure] for sample in samples]


def flat(what: str, seen: Steadiness) -> Verdict:
    return Verdict(
        promise=f"{what} flat, ±{TOLERANCE:.0%}",
        found=f"{seen.first / 1e6:.1f} → {seen.last / 1e6:.1f} MB ({seen.change:+.1%})",
        held=seen.within(),
    )


def bounded(what: str, values: Sequence[float]) -> Verdict:
    """Judge that the most in the last tenth is not far above the most in the second: what is deleted comes and goes."""
    tenths = in_tenths(values)
    first, last = max(tenths[1]), max(tenths[-1])
    return Verdict(
        promise=f"{what} bounded",
        found=f"at most {first:,.0f} → {last:,.0f}",
        held=last <= first * (1 + FILES_MAY_GROW_BY),
    )
