"""One trial: load, fault, catching up, end, count."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress
from tests.chaos.catching_up import is_acknowledged, measure_extent, wait_for_catch_up
from tests.chaos.engine import Engine
from tests.chaos.evidence import Evidence, Window, gather_evidence
from tests.chaos.fault_list import Trial
from tests.chaos.faults import process_faults
from tests.chaos.faults.fault import MissedError
from tests.chaos.interleave import take_turns
from tests.chaos.invariants import check_invariants
from tests.chaos.proxy import Proxy
from tests.chaos.stack import Stack, run_stack
from tests.chaos.trial_dirs import TrialDirs

_CATCH_UP_SECONDS = 120.0
_AFTERWARDS_SECONDS = 2.5
_LAST_LINES_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """
    Load of a trial.

    Attributes:
        rate: Requests per second.
        before_seconds: Duration before the fault.
    """

    rate: float
    before_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """
    Result of one trial.

    Attributes:
        trial: Trial that was run.
        seen: Evidence at its end; None if it failed before.
        broken: One sentence for each violated invariant.
    """

    trial: Trial
    seen: Evidence | None
    broken: list[str]


def run_trial(
    trial: Trial, *, root: Path, engine: Engine, proxy: Proxy, pace: Pace, report: ReportProgress
) -> TrialResult:
    """
    Run *trial* in the new directory *root*, on a running *engine* and *proxy*.

    Raises:
        OperatorError: If a process does not start, or ends unexpectedly.
    """
    dirs = TrialDirs(root)
    dirs.make()
    cluster = Cluster(url=engine.url, namespace=root.name.replace("-", "_"))
    report(f"{trial.name}: starting service and shipper")
    with run_stack(
        dirs=dirs,
        engine=engine,
        proxy=proxy,
        through_proxy=any(fault.proxied for fault in trial.faults),
        cluster=cluster,
        settings=_collect_settings(trial, dirs),
        rate=pace.rate,
        report=report,
    ) as stack:
        report(f"{trial.name}: load")
        before = _wait_calmly(stack, pace.before_seconds)
        report(f"{trial.name}: the fault")
        during, missed = _inject_faults(stack, trial)
        report(f"{trial.name}: catching up")
        repaired_at = time.monotonic()
        caught_up_seconds = wait_for_catch_up(dirs, timeout_seconds=_CATCH_UP_SECONDS, check=stack.check)
        # Events that the disk rejected appear in the next event and the next heartbeat.
        _wait_calmly(stack, _AFTERWARDS_SECONDS - (time.monotonic() - repaired_at))
        _end(stack)
    report(f"{trial.name}: counting")
    seen = gather_evidence(
        dirs,
        cluster,
        removed_files=stack.removed,
        before=before,
        during=during,
        caught_up_seconds=caught_up_seconds,
    )
    return TrialResult(trial=trial, seen=seen, broken=[*missed, *check_invariants(seen, trial.faults)])


def _collect_settings(trial: Trial, dirs: TrialDirs) -> Mapping[str, str]:
    return {name: value for fault in trial.faults for name, value in fault.environment(dirs).items()}


def _wait_calmly(stack: Stack, seconds: float) -> Window:
    began = time.time()
    take_turns([process_faults.wait(stack, seconds)], stack.check)
    return began, time.time()


def _inject_faults(stack: Stack, trial: Trial) -> tuple[Window, list[str]]:
    """Inject the faults; return their time and a sentence for a fault without effect."""
    began = time.time()
    injections = [fault.inject(stack, fault.seconds) for fault in trial.faults]
    try:
        take_turns(injections, stack.check)
    except MissedError as error:
        return (began, time.time()), [f"the fault did not happen: {error}"]
    return (began, time.time()), []


def _end(stack: Stack) -> None:
    """Stop load, service and shipper in this order, and ship the remaining lines."""
    stack.load.stop()
    stack.server.stop()
    stack.shipper.stop()
    if is_acknowledged(measure_extent(stack.dirs.logs), stack.dirs):
        return
    stack.start_shipper("--once", "--heartbeat", "0", "--timeout", str(_LAST_LINES_SECONDS))
    with suppress(OperatorError):  # the account shows missing lines
        stack.shipper.wait_until(stack.shipper.has_finished, timeout_seconds=2 * _LAST_LINES_SECONDS)
