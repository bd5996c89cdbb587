"""The list of benchmarks."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from inferlog_ops.core.errors import OperatorError


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """
    One benchmark.

    Attributes:
        name: Name on the command line.
        module: Name of its module, without the package.
        question: Question that it answers.
        always: Whether it runs by default.
        page_options: Options with which it measures the figures of docs/performance.md, in minutes instead of an hour;
            None: the page has none of its figures.
    """

    name: str
    module: str
    question: str
    always: bool = True
    page_options: tuple[str, ...] | None = None


BENCHMARKS = (
    Benchmark(
        name="logging",
        module="logging_cost",
        question="What does an event cost, here and elsewhere?",
        page_options=("--rounds", "500"),
    ),
    Benchmark(name="instructions", module="instructions", question="How many instructions does it take?", always=False),
    Benchmark(
        name="request",
        module="request_cost",
        question="What does a request cost, here and with other packages?",
        page_options=("--rounds", "200", "--turns", "4"),
    ),
    Benchmark(name="server", module="server", question="How much latency does logging add for a client?"),
    Benchmark(
        name="shipper",
        module="shipper",
        question="How fast do files get into Elasticsearch?",
        page_options=("--events", "200000", "--turns", "1", "--warm-up", "60000", "--growth"),
    ),
    Benchmark(
        name="disk",
        module="disk",
        question="How many bytes of disk does an event take?",
        page_options=("--events", "100000"),
    ),
    Benchmark(
        name="panels",
        module="panels",
        question="How long do the dashboards' panels take?",
        page_options=(
            *("--dashboards", "inferlog-overview", "--events", "1000000", "--copies", "10"),
            *("--calls", "2", "--calls-before", "1"),
        ),
    ),
    Benchmark(name="long_range", module="long_range", question="How long do queries over months take?"),
    Benchmark(
        name="lag",
        module="lag",
        question="How soon after its end is an event searchable?",
        page_options=("--rates", "5000", "--seconds", "30", "--warm-up-seconds", "10"),
    ),
    Benchmark(name="agreement", module="agreement", question="Do clients and dashboards see the same latency?"),
    Benchmark(name="long_run", module="long_run", question="What grows in an hour of traffic?", always=False),
)


def build_command(benchmark: Benchmark, *options: str) -> list[str]:
    """Return the command that runs *benchmark* in the root of the repository."""
    return [sys.executable, "-m", f"benchmarks.{benchmark.module}", *options]


def find_benchmarks(names: Sequence[str]) -> list[Benchmark]:
    """
    Return the benchmarks called *names* in the order of the list, or the default ones without names.

    Raises:
        OperatorError: If a name is unknown.
    """
    known = {benchmark.name: benchmark for benchmark in BENCHMARKS}
    for name in names:
        if name not in known:
            raise OperatorError(f"unknown benchmark {name!r}; expected one or more of {', '.join(known)}", exit_code=2)
    return [benchmark for benchmark in BENCHMARKS if (benchmark.name in names if names else benchmark.always)]


def list_page_benchmarks() -> list[Benchmark]:
    """Return the benchmarks with figures in docs/performance.md, in the order of the list."""
    return [benchmark for benchmark in BENCHMARKS if benchmark.page_options is not None]
