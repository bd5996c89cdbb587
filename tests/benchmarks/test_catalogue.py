"""Which benchmarks there are, and that each is where the command looks for it."""

import importlib.util

import pytest

from benchmarks.catalogue import BENCHMARKS, Benchmark, command_of, named
from inferlog_ops.core.errors import OperatorError


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda each: each.name)
def test_every_benchmark_has_its_module(benchmark: Benchmark) -> None:
    (*_, module) = command_of(benchmark)
    assert importlib.util.find_spec(module)


def test_without_names_those_that_always_belong_are_meant() -> None:
    assert named([]) == [benchmark for benchmark in BENCHMARKS if benchmark.always]


def test_names_are_taken_in_the_catalogue_s_order() -> None:
    assert [benchmark.name for benchmark in named(["panels", "logging"])] == ["logging", "panels"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OperatorError, match="no benchmark 'speed'; expected some of logging, server") as refused:
        named(["logging", "speed"])
    assert refused.value.exit_code == 2
