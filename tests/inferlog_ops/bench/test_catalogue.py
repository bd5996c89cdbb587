"""Which benchmarks there are, and that each is where the command looks for it."""

from pathlib import Path

import pytest

from inferlog_ops.bench.catalogue import BENCHMARKS, Benchmark, named, script_of
from inferlog_ops.errors import OperatorError


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda each: each.name)
def test_every_benchmark_has_its_script(benchmark: Benchmark) -> None:
    assert script_of(benchmark).is_file()


def test_without_names_those_that_always_belong_are_meant() -> None:
    assert named([]) == [benchmark for benchmark in BENCHMARKS if benchmark.always]


def test_names_are_taken_in_the_catalogue_s_order() -> None:
    assert [benchmark.name for benchmark in named(["panels", "logging"])] == ["logging", "panels"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OperatorError, match="no benchmark 'speed'; expected some of logging, server") as refused:
        named(["logging", "speed"])
    assert refused.value.exit_code == 2


def test_outside_of_a_checkout_one_sentence_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="only in a checkout of the repository: run scripts/test") as refused:
        script_of(BENCHMARKS[0], tmp_path)
    assert refused.value.exit_code == 2
