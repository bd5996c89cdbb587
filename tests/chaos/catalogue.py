"""Every fault by its name, which of them meet, and which are the most telling."""

import itertools
from dataclasses import dataclass, replace
from typing import Final

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.naming import lookup
from tests.chaos import misbehaviour
from tests.chaos.clock import under_a_clock
from tests.chaos.faults import answers, clock, disk_faults, lines, process_faults, removal, state
from tests.chaos.faults.fault import Fault, Part

_AT_ONCE: Final = 2
_SINGLE: Final = (
    Fault(
        name="no-fault",
        what="nothing goes wrong: what all others compare with",
        inject=process_faults.wait,
        seconds=10,
    ),
    Fault(
        name="kill-worker",
        what="kill -9 of a worker of the service, every 5 s",
        inject=process_faults.kill_worker,
        breaks=frozenset({Part.SERVICE}),
        kills_workers=True,
    ),
    Fault(
        name="kill-shipper",
        what="kill -9 of the shipper, every 5 s",
        inject=process_faults.kill_shipper,
        breaks=frozenset({Part.SHIPPER}),
    ),
    Fault(
        name="kill-engine",
        what="kill -9 of Elasticsearch, which is started again after a few seconds",
        inject=process_faults.kill_engine,
        breaks=frozenset({Part.ENGINE}),
        seconds=5,
        # While it starts nobody else can strike: the other one is to meet an engine that is away, several times.
        paired_seconds=12,
    ),
    Fault(
        name="stop-worker",
        what="a worker stands still (SIGSTOP)",
        inject=process_faults.stop_worker,
        breaks=frozenset({Part.SERVICE}),
        seconds=30,
        stills_workers=True,
    ),
    Fault(
        name="stop-shipper",
        what="the shipper stands still (SIGSTOP)",
        inject=process_faults.stop_shipper,
        breaks=frozenset({Part.SHIPPER}),
        seconds=30,
    ),
    Fault(
        name="stop-engine",
        what="Elasticsearch stands still (SIGSTOP)",
        inject=process_faults.stop_engine,
        breaks=frozenset({Part.ENGINE}),
        seconds=30,
    ),
    Fault(
        name="engine-away",
        what="Elasticsearch is away for two minutes",
        inject=process_faults.engine_away,
        breaks=frozenset({Part.ENGINE}),
        seconds=120,
    ),
    Fault(
        name="answers-429",
        what="every bulk request is answered with 429",
        inject=answers.answering(misbehaviour.refuse(429), shows=b" 429 "),
        breaks=frozenset({Part.ANSWERS, Part.ENGINE}),
        proxied=True,
    ),
    Fault(
        name="items-429",
        what="every second document is answered with 429, the others are stored",
        inject=answers.answering(misbehaviour.refuse_every_other, shows=misbehaviour.ITEM_REFUSED),
        breaks=frozenset({Part.ANSWERS}),
        proxied=True,
    ),
    Fault(
        name="answers-503",
        what="every bulk request is answered with 503",
        inject=answers.answering(misbehaviour.refuse(503), shows=b" 503 "),
        breaks=frozenset({Part.ANSWERS, Part.ENGINE}),
        proxied=True,
    ),
    Fault(
        name="slow-answers",
        what="every answer is held back for 3 s",
        inject=answers.answering(misbehaviour.delay(3.0), shows=misbehaviour.STORED),
        breaks=frozenset({Part.ANSWERS}),
        proxied=True,
    ),
    Fault(
        name="cut-answers",
        what="the documents are stored, and the connection is cut in the midst of the answer",
        inject=answers.answering(misbehaviour.cut, shows=misbehaviour.STORED),
        breaks=frozenset({Part.ANSWERS}),
        proxied=True,
    ),
    Fault(
        name="rollover",
        what="the stream rolls over between a try, whose answer is cut, and its repetition",
        inject=answers.roll_over,
        breaks=frozenset({Part.ANSWERS, Part.ENGINE}),
        proxied=True,
    ),
    Fault(
        name="malformed-lines",
        what="lines that are no JSON, no object, or have no id",
        inject=lines.writing(lines.malformed),
    ),
    Fault(
        name="refused-lines",
        what="events that the mapping refuses",
        inject=lines.writing(lines.refused),
    ),
    Fault(
        name="disk-full-service",
        what="no file of the service may grow (RLIMIT_FSIZE): writes are cut short, then fail",
        inject=disk_faults.disk_full_for_service,
        breaks=frozenset({Part.LOG_FILES}),
        fills_disk=True,
    ),
    Fault(
        name="disk-full-shipper",
        what="the shipper can save nothing (RLIMIT_FSIZE)",
        inject=disk_faults.disk_full_for_shipper,
        breaks=frozenset({Part.SHIPPER}),
    ),
    Fault(
        name="read-only-logs",
        what="no file can be made in the log directory (mode 0555), and the open one is soon full",
        inject=disk_faults.read_only_logs,
        breaks=frozenset({Part.LOG_FILES}),
        environment=disk_faults.small_files,
        fills_disk=True,
    ),
    Fault(
        name="directory-full",
        what="nothing is shipped, and the log directory reaches max_total_bytes",
        inject=disk_faults.directory_full,
        breaks=frozenset({Part.LOG_FILES, Part.SHIPPER}),
        environment=disk_faults.small_directory,
        fills_disk=True,
    ),
    Fault(
        name="no-locks",
        what="the file system of the log directory has no locks (ENOLCK)",
        inject=disk_faults.without_locks,
        breaks=frozenset({Part.LOG_FILES, Part.CLOCK}),
        environment=disk_faults.no_locks,
    ),
    Fault(
        name="rotations",
        what="200 rotations a minute, each file deleted as soon as it is shipped",
        inject=disk_faults.rotations,
        breaks=frozenset({Part.LOG_FILES}),
        seconds=60,
        environment=disk_faults.small_files_soon_deleted,
    ),
    Fault(
        name="deleted-file",
        what="a file is deleted before it is shipped",
        inject=removal.delete_unshipped,
        breaks=frozenset({Part.LOG_FILES, Part.SHIPPER}),
        environment=disk_faults.small_files,
        removes_files=True,
    ),
    Fault(
        name="deleted-in-use",
        what="all log files are deleted while the service writes to them, every 3 s",
        inject=removal.in_use(removal.delete_files),
        breaks=frozenset({Part.LOG_FILES}),
        removes_files=True,
        removes_files_in_use=True,
    ),
    Fault(
        name="renamed-in-use",
        what="all log files are renamed while the service writes to them, as logrotate does, every 3 s",
        inject=removal.in_use(removal.rename_files),
        breaks=frozenset({Part.LOG_FILES}),
        removes_files=True,
        removes_files_in_use=True,
    ),
    Fault(
        name="removed-directory",
        what="the log directory is removed while the service writes to it, every 3 s",
        inject=removal.in_use(removal.remove_directory),
        breaks=frozenset({Part.LOG_FILES}),
        removes_files=True,
        removes_files_in_use=True,
    ),
    Fault(
        name="corrupt-positions",
        what="the shipper finds its position file spoilt: cut in half, zeros, empty, nonsense",
        inject=state.corrupt_positions,
        breaks=frozenset({Part.SHIPPER}),
    ),
    Fault(
        name="clock-back",
        what="the service's clock is set back by an hour, and right again",
        inject=clock.set_clock_back,
        breaks=frozenset({Part.CLOCK}),
        environment=lambda place: under_a_clock(place.clock),
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
"""Where one fault could make the other worse: a crash while there is something to forget, and the like."""

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
    What is tried at once: one fault, or two that meet.

    Attributes:
        faults: All of them, each with the time that it lasts here.
    """

    faults: tuple[Fault, ...]

    @property
    def name(self) -> str:
        """As it is asked for."""
        return "+".join(fault.name for fault in self.faults)

    @property
    def what(self) -> str:
        """In one sentence, for people."""
        return "; ".join(fault.what for fault in self.faults)


def short_matrix() -> list[Trial]:
    """Return the most telling faults, each for a few seconds."""
    return [trial(name, FAULTS[name].short_seconds) for name in _SHORT]


def full_matrix() -> list[Trial]:
    """Return each fault alone, and the pairs."""
    return [trial(name) for name in (*FAULTS, *("+".join(pair) for pair in PAIRS))]


def trial(name: str, seconds: float | None = None) -> Trial:
    """
    Return the trial of this *name*, a fault or two with a ``+`` between, for so many *seconds* or its usual time.

    Raises:
        OperatorError: If there is none, or if two of them break the same thing.
    """
    faults = tuple(
        lookup(each, FAULTS, kind="fault", otherwise="scripts/chaos --list names them all") for each in name.split("+")
    )
    if len(faults) > _AT_ONCE or len(set(faults)) < len(faults):
        raise OperatorError(f"{name}: expected one fault, or two different ones with a + between", exit_code=2)
    for one, other in itertools.combinations(faults, 2):
        if shared := one.breaks & other.breaks:
            raise OperatorError(
                f"{name}: both break {min(shared)}, so that one would undo or hide the other; "
                "expected two that break different things",
                exit_code=2,
            )
    if seconds is None:
        return Trial(faults=faults if len(faults) == 1 else tuple(map(_paired, faults)))
    return Trial(faults=tuple(replace(fault, seconds=seconds) for fault in faults))


def _paired(fault: Fault) -> Fault:
    return replace(fault, seconds=fault.paired_seconds)
