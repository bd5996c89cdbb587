"""Faults and pairs of faults by name, the full matrix and the short one."""

import itertools
from dataclasses import dataclass, replace
from typing import Final

from inferlog_ops.core.errors import OperatorError, lookup
from tests.chaos import misbehaviour
from tests.chaos.faults import answers, clock, disk_faults, lines, process_faults, removal
from tests.chaos.faults.clock import build_fake_clock_environment
from tests.chaos.faults.fault import Fault, FaultTarget

_AT_ONCE: Final = 2
_SINGLE: Final = (
    Fault(
        name="no-fault",
        what="no fault: the baseline for all others",
        inject=process_faults.wait,
        seconds=10,
    ),
    Fault(
        name="kill-worker",
        what="kill -9 of a worker of the service, every 5 s",
        inject=process_faults.kill_worker,
        breaks=frozenset({FaultTarget.SERVICE}),
        kills_workers=True,
    ),
    Fault(
        name="kill-shipper",
        what="kill -9 of the shipper, every 5 s",
        inject=process_faults.kill_shipper,
        breaks=frozenset({FaultTarget.SHIPPER}),
    ),
    Fault(
        name="kill-engine",
        what="kill -9 of Elasticsearch, restarted after a few seconds",
        inject=process_faults.kill_engine,
        breaks=frozenset({FaultTarget.ENGINE}),
        seconds=5,
        # The other fault cannot act during a restart, and must meet a stopped engine several times.
        paired_seconds=12,
    ),
    Fault(
        name="stop-worker",
        what="a worker is suspended (SIGSTOP)",
        inject=process_faults.stop_worker,
        breaks=frozenset({FaultTarget.SERVICE}),
        seconds=30,
        stills_workers=True,
    ),
    Fault(
        name="stop-shipper",
        what="the shipper is suspended (SIGSTOP)",
        inject=process_faults.stop_shipper,
        breaks=frozenset({FaultTarget.SHIPPER}),
        seconds=30,
    ),
    Fault(
        name="stop-engine",
        what="Elasticsearch is suspended (SIGSTOP)",
        inject=process_faults.stop_engine,
        breaks=frozenset({FaultTarget.ENGINE}),
        seconds=30,
    ),
    Fault(
        name="engine-away",
        what="Elasticsearch is stopped for two minutes",
        inject=process_faults.shut_engine_down,
        breaks=frozenset({FaultTarget.ENGINE}),
        seconds=120,
    ),
    Fault(
        name="answers-429",
        what="every bulk request is answered with 429",
        inject=answers.inject_behaviour(misbehaviour.refuse(429), shows=b" 429 "),
        breaks=frozenset({FaultTarget.ANSWERS, FaultTarget.ENGINE}),
        proxied=True,
    ),
    Fault(
        name="items-429",
        what="every second document is answered with 429, the others are stored",
        inject=answers.inject_behaviour(misbehaviour.refuse_every_other, shows=misbehaviour.ITEM_REFUSED),
        breaks=frozenset({FaultTarget.ANSWERS}),
        proxied=True,
    ),
    Fault(
        name="answers-503",
        what="every bulk request is answered with 503",
        inject=answers.inject_behaviour(misbehaviour.refuse(503), shows=b" 503 "),
        breaks=frozenset({FaultTarget.ANSWERS, FaultTarget.ENGINE}),
        proxied=True,
    ),
    Fault(
        name="slow-answers",
        what="every response is delayed by 3 s",
        inject=answers.inject_behaviour(misbehaviour.delay(3.0), shows=misbehaviour.STORED),
        breaks=frozenset({FaultTarget.ANSWERS}),
        proxied=True,
    ),
    Fault(
        name="cut-answers",
        what="the documents are stored, and the connection is cut in the middle of the response",
        inject=answers.inject_behaviour(misbehaviour.cut, shows=misbehaviour.STORED),
        breaks=frozenset({FaultTarget.ANSWERS}),
        proxied=True,
    ),
    Fault(
        name="rollover",
        what="the stream rolls over between a request, whose response is cut, and its retry",
        inject=answers.roll_over,
        breaks=frozenset({FaultTarget.ANSWERS, FaultTarget.ENGINE}),
        proxied=True,
    ),
    Fault(
        name="malformed-lines",
        what="lines that are not valid JSON, not an object, or have no id",
        inject=lines.write_lines(lines.make_malformed),
    ),
    Fault(
        name="refused-lines",
        what="events that the mapping rejects",
        inject=lines.write_lines(lines.make_refused),
    ),
    Fault(
        name="disk-full-service",
        what="no file of the service may grow (RLIMIT_FSIZE): writes are cut short, then fail",
        inject=disk_faults.fill_disk_of_service,
        breaks=frozenset({FaultTarget.LOG_FILES}),
        fills_disk=True,
    ),
    Fault(
        name="disk-full-shipper",
        what="the shipper cannot write files (RLIMIT_FSIZE)",
        inject=disk_faults.fill_disk_of_shipper,
        breaks=frozenset({FaultTarget.SHIPPER}),
    ),
    Fault(
        name="read-only-logs",
        what="no file can be created in the log directory (mode 0555), and the open file is soon full",
        inject=disk_faults.make_logs_read_only,
        breaks=frozenset({FaultTarget.LOG_FILES}),
        environment=disk_faults.limit_files,
        fills_disk=True,
    ),
    Fault(
        name="directory-full",
        what="nothing is shipped, and the log directory reaches max_total_bytes",
        inject=disk_faults.fill_directory,
        breaks=frozenset({FaultTarget.LOG_FILES, FaultTarget.SHIPPER}),
        environment=disk_faults.limit_directory,
        fills_disk=True,
    ),
    Fault(
        name="no-locks",
        what="the file system of the log directory has no locks (ENOLCK)",
        inject=disk_faults.run_without_locks,
        breaks=frozenset({FaultTarget.LOG_FILES, FaultTarget.CLOCK}),
        environment=disk_faults.disable_locks,
    ),
    Fault(
        name="rotations",
        what="200 rotations a minute, each file deleted as soon as it is shipped",
        inject=disk_faults.rotate_files,
        breaks=frozenset({FaultTarget.LOG_FILES}),
        seconds=60,
        environment=disk_faults.limit_and_delete_files,
    ),
    Fault(
        name="deleted-file",
        what="a file is deleted before it is shipped",
        inject=removal.delete_unshipped,
        breaks=frozenset({FaultTarget.LOG_FILES, FaultTarget.SHIPPER}),
        environment=disk_faults.limit_files,
        removes_files=True,
    ),
    Fault(
        name="deleted-in-use",
        what="all log files are deleted while the service writes to them, every 3 s",
        inject=removal.remove_in_use(removal.delete_files),
        breaks=frozenset({FaultTarget.LOG_FILES}),
        removes_files=True,
        removes_files_in_use=True,
    ),
    Fault(
        name="renamed-in-use",
        what="all log files are renamed while the service writes to them, as logrotate does, every 3 s",
        inject=removal.remove_in_use(removal.rename_files),
        breaks=frozenset({FaultTarget.LOG_FILES}),
        removes_files=True,
        removes_files_in_use=True,
    ),
    Fault(
        name="removed-directory",
        what="the log directory is removed while the service writes to it, every 3 s",
        inject=removal.remove_in_use(removal.remove_directory),
        breaks=frozenset({FaultTarget.LOG_FILES}),
        removes_files=True,
        removes_files_in_use=True,
    ),
    Fault(
        name="corrupt-positions",
        what="the shipper's offset file is corrupted: truncated, zeroed, empty, invalid",
        inject=process_faults.corrupt_positions,
        breaks=frozenset({FaultTarget.SHIPPER}),
    ),
    Fault(
        name="clock-back",
        what="the service's clock is set back by an hour, then restored",
        inject=clock.set_clock_back,
        breaks=frozenset({FaultTarget.CLOCK}),
        environment=lambda dirs: build_fake_clock_environment(dirs.clock),
    ),
)
FAULTS: Final = {fault.name: fault for fault in _SINGLE}

PAIRS: Final = (
    ("kill-shipper", "kill-engine"),
    ("kill-shipper", "cut-answers"),
    ("kill-shipper", "rollover"),
    ("kill-shipper", "answers-429"),
    ("kill-shipper", "items-429"),
    ("kill-shipper", "rotations"),
    ("kill-shipper", "malformed-lines"),
    ("kill-shipper", "kill-worker"),
    ("kill-worker", "rotations"),
    ("kill-worker", "kill-engine"),
    ("kill-worker", "disk-full-service"),
    ("kill-engine", "refused-lines"),
    ("kill-engine", "corrupt-positions"),
    ("rollover", "corrupt-positions"),
    ("rollover", "refused-lines"),
    ("cut-answers", "disk-full-shipper"),
    ("malformed-lines", "disk-full-shipper"),
    ("disk-full-service", "disk-full-shipper"),
    ("clock-back", "rotations"),
    ("slow-answers", "stop-shipper"),
)
"""Faults that may aggravate each other, such as a crash with unsaved state."""

_SHORT: Final = (
    "kill-worker",
    "kill-shipper",
    "kill-engine",
    "stop-engine",
    "items-429",
    "rollover",
    "malformed-lines",
    "disk-full-service",
    "disk-full-shipper",
    "read-only-logs",
    "deleted-file",
    "corrupt-positions",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """
    One fault, or two faults at the same time.

    Attributes:
        faults: With their durations in this trial.
    """

    faults: tuple[Fault, ...]

    @property
    def name(self) -> str:
        """Name on the command line."""
        return "+".join(fault.name for fault in self.faults)

    @property
    def what(self) -> str:
        """Description in one sentence."""
        return "; ".join(fault.what for fault in self.faults)


def build_short_matrix() -> list[Trial]:
    """Return the most important faults, each for a few seconds."""
    return [find_trial(name, FAULTS[name].short_seconds) for name in _SHORT]


def build_full_matrix() -> list[Trial]:
    """Return each fault alone, and the pairs."""
    return [find_trial(name) for name in (*FAULTS, *("+".join(pair) for pair in PAIRS))]


def find_trial(name: str, seconds: float | None = None) -> Trial:
    """
    Return the trial called *name*, one fault or two joined by ``+``, with a duration of *seconds* or its usual one.

    Raises:
        OperatorError: If a name is unknown, or if two faults break the same target.
    """
    faults = tuple(
        lookup(each, FAULTS, kind="fault", otherwise="scripts/chaos --list shows all names") for each in name.split("+")
    )
    if len(faults) > _AT_ONCE or len(set(faults)) < len(faults):
        raise OperatorError(f"{name}: expected one fault, or two different faults joined by +", exit_code=2)
    for one, other in itertools.combinations(faults, 2):
        if shared := one.breaks & other.breaks:
            raise OperatorError(
                f"{name}: both break {min(shared)}, so one would undo or hide the other; "
                "expected two faults with different targets",
                exit_code=2,
            )
    if seconds is None:
        return Trial(faults=faults if len(faults) == 1 else tuple(map(_set_paired_seconds, faults)))
    return Trial(faults=tuple(replace(fault, seconds=seconds) for fault in faults))


def _set_paired_seconds(fault: Fault) -> Fault:
    return replace(fault, seconds=fault.paired_seconds)
