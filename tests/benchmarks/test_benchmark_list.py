"""List of benchmarks and their modules."""

import importlib.util
import re

import pytest

from benchmarks.benchmark_list import BENCHMARKS, Benchmark, build_command, find_benchmarks
from inferlog_ops.core.errors import OperatorError
from tests import ROOT


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda each: each.name)
def test_every_benchmark_has_its_module(benchmark: Benchmark) -> None:
    (*_, module) = build_command(benchmark)
    assert importlib.util.find_spec(module)


def test_default_benchmarks_run_without_names() -> None:
    assert find_benchmarks([]) == [benchmark for benchmark in BENCHMARKS if benchmark.always]


def test_benchmarks_run_in_the_order_of_the_list() -> None:
    assert [benchmark.name for benchmark in find_benchmarks(["panels", "logging"])] == ["logging", "panels"]


def test_find_benchmarks_rejects_unknown_name_with_the_known_ones() -> None:
    with pytest.raises(
        OperatorError, match="unknown benchmark 'speed'; expected one or more of logging, instructions"
    ) as refused:
        find_benchmarks(["logging", "speed"])
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("name", [benchmark.name for benchmark in BENCHMARKS])
def test_every_benchmark_has_its_command_in_the_docs(name: str) -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    (module,) = (benchmark.module for benchmark in BENCHMARKS if benchmark.name == name)
    commands = rf"scripts/bench {name}\b|-m benchmarks\.{module}\b"
    assert re.search(commands, text), f"add a section with `scripts/bench {name}` to docs/performance.md"
