"""Which benchmarks there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inferlog_ops.errors import OperatorError

_CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """
    A script that measures something.

    Attributes:
        name: What a person calls it.
        script: File name in ``benchmarks/``.
        question: What it answers.
        always: Whether it belongs to a run in which none is named.
    """

    name: str
    script: str
    question: str
    always: bool = True


BENCHMARKS = (
    Benchmark(name="logging", script="logging_cost.py", question="What does an event cost, and what do others cost?"),
    Benchmark(name="server", script="server.py", question="What does a client notice of it?"),
    Benchmark(name="shipper", script="shipper.py", question="How fast do files get into Elasticsearch, and by whom?"),
    Benchmark(name="disk", script="disk.py", question="How many bytes of disk does an event take?"),
    Benchmark(name="panels", script="panels.py", question="How long do the dashboards' panels take?"),
    Benchmark(name="lag", script="lag.py", question="How soon after its end is an event found?"),
    Benchmark(name="agreement", script="agreement.py", question="Do clients and dashboards see the same latency?"),
    Benchmark(name="long_run", script="long_run.py", question="What grows in an hour of traffic?", always=False),
)


def named(names: Sequence[str]) -> list[Benchmark]:
    """
    Return the benchmarks called *names*, in their order here; without names those that always belong to a run.

    Raises:
        OperatorError: If there is no benchmark of a name.
    """
    known = {benchmark.name: benchmark for benchmark in BENCHMARKS}
    for name in names:
        if name not in known:
            raise OperatorError(f"there is no benchmark {name!r}; expected some of {', '.join(known)}", exit_code=2)
    return [benchmark for benchmark in BENCHMARKS if (benchmark.name in names if names else benchmark.always)]


def script_of(benchmark: Benchmark, checkout: Path = _CHECKOUT) -> Path:
    """
    Return where the script of *benchmark* lies.

    Raises:
        OperatorError: If this inferlog does not run in a checkout.
    """
    path = checkout / "benchmarks" / benchmark.script
    if not path.is_file():
        raise OperatorError(
            "the benchmarks are not in this installation of inferlog, only in a checkout of the repository: "
            "run scripts/test there once, then .venv/bin/inferlog bench",
            exit_code=2,
        )
    return path
