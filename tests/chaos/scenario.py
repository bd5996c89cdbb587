"""The course of one trial: load, fault, catching up, end, count."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say
from tests.chaos.catalogue import Trial
from tests.chaos.catching_up import extent, is_answered, seconds_to_catch_up
from tests.chaos.dirs import Dirs
from tests.chaos.engine import Engine
from tests.chaos.evidence import Window, gather
from tests.chaos.faults import process_faults
from tests.chaos.faults.fault import MissedError
from tests.chaos.interleave import take_turns
from tests.chaos.invariants import broken_promises
from tests.chaos.observed import Observed
from tests.chaos.proxy import Proxy
from tests.chaos.stack import Stack, running

_CATCH_UP_SECONDS = 120.0
_AFTERWARDS_SECONDS = 2.5
_LAST_LINES_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """
    How much of everything.

    Attributes:
        rate: Requests per second.
        before_seconds: How long nothing goes wrong at first.
    """

    rate: float
    before_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    How one trial went.

    Attributes:
        trial: What was tried.
        seen: What was to be seen at its end; None if it did not come to one.
        broken: A sentence for each promise that was broken.
    """

    trial: Trial
    seen: Observed | None
    broken: list[str]


def carry_out(trial: Trial, *, root: Path, engine: Engine, proxy: Proxy, pace: Pace, say: Say) -> Result:
    """
    Carry out *trial* in the directory *root*, made here, on an *engine* and a *proxy* that run.

    Raises:
        OperatorError: If something does not come up, or ends that should run.
    """
    place = Dirs(root)
    place.make()
    cluster = Cluster(url=engine.url, namespace=root.name.replace("-", "_"))
    say(f"{trial.name}: starting service and shipper")
    with running(
        place=place,
        engine=engine,
        proxy=proxy,
        through_proxy=any(fault.proxied for fault in trial.faults),
        cluster=cluster,
        settings=_settings(trial, place),
        rate=pace.rate,
        say=say,
    ) as stack:
        say(f"{trial.name}: load")
        before = _calm(stack, pace.before_seconds)
        say(f"{trial.name}: the fault")
        during, missed = _strike(stack, trial)
        say(f"{trial.name}: catching up")
        mended_at = time.monotonic()
        caught_up_seconds = seconds_to_catch_up(place, timeout_seconds=_CATCH_UP_SECONDS, check=stack.check)
        # What the disk refused shows at the next event, and in the next heartbeat.
        _calm(stack, _AFTERWARDS_SECONDS - (time.monotonic() - mended_at))
        _end(stack)
    say(f"{trial.name}: counting")
    seen = gather(
        place,
        cluster,
        removed_files=stack.removed,
        before=before,
        during=during,
        caught_up_seconds=caught_up_seconds,
    )
    return Result(trial=trial, seen=seen, broken=[*missed, *broken_promises(seen, trial.faults)])


def _settings(trial: Trial, place: Dirs) -> Mapping[str, str]:
    return {name: value for fault in trial.faults for name, value in fault.environment(place).items()}


def _calm(stack: Stack, seconds: float) -> Window:
    began = time.time()
    take_turns([process_faults.wait(stack, seconds)], stack.check)
    return began, time.time()


def _strike(stack: Stack, trial: Trial) -> tuple[Window, list[str]]:
    """Let the faults strike; return when that was, and why one of them did not happen."""
    began = time.time()
    strikes = [fault.inject(stack, fault.seconds) for fault in trial.faults]
    try:
        take_turns(strikes, stack.check)
    except MissedError as error:
        return (began, time.time()), [f"the fault did not happen: {error}"]
    return (began, time.time()), []


def _end(stack: Stack) -> None:
    """End load, service and shipper in the order in which each still finds the next, and ship what is left."""
    stack.load.stop()
    stack.server.stop()
    stack.shipper.stop()
    if is_answered(extent(stack.place.logs), stack.place):
        return
    stack.start_shipper("--once", "--heartbeat", "0", "--timeout", str(_LAST_LINES_SECONDS))
    with suppress(OperatorError):  # the count tells what is missing
        stack.shipper.wait_until(stack.shipper.has_finished, timeout_seconds=2 * _LAST_LINES_SECONDS)
