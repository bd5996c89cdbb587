"""The list of benchmarks."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from inferlog_ops.core.errors import OperatorError


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """
    A module that measures something.

    Attributes:
        name: What a person calls it.
        module: Name of the module that runs it, without the package.
        question: What it answers.
        always: Whether it belongs to a run in which none is named.
    """

    name: str
    module: str
    question: str
    always: bool = True


BENCHMARKS = (
    Benchmark(name="logging", module="logging_cost", question="What does an event cost, and what do others cost?"),
    Benchmark(name="server", module="server", question="What does a client notice of it?"),
    Benchmark(name="shipper", module="shipper", question="How fast do files get into Elasticsearch, and by whom?"),
    Benchmark(name="disk", module="disk", question="How many bytes of disk does an event take?"),
    Benchmark(name="panels", module="panels", question="How long do the dashboards' panels take?"),
    Benchmark(name="lag", module="lag", question="How soon after its end is an event found?"),
    Benchmark(name="agreement", module="agreement", question="Do clients and dashboards see the same latency?"),
    Benchmark(name="long_run", module="long_run", question="What grows in an hour of traffic?", always=False),
)


def command_of(benchmark: Benchmark, *options: str) -> list[str]:
    """Return the command that runs *benchmark* in the root of the repository."""
    return [sys.executable, "-m", f"benchmarks.{benchmark.module}", *options]


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
