"""List of benchmarks and their modules."""

import importlib
import importlib.util
import re
import sys

import pytest

from benchmarks.benchmark_list import BENCHMARKS, Benchmark, build_command, find_benchmarks, list_page_benchmarks
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


def find_commands(text: str, benchmark: Benchmark) -> list[str]:
    return re.findall(rf"scripts/bench {benchmark.name}\b|-m benchmarks\.{benchmark.module}\b.*", text)


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda each: each.name)
def test_every_benchmark_has_its_command_in_the_docs(benchmark: Benchmark) -> None:
    pages = [ROOT / "docs/performance.md", *(ROOT / "docs/evidence").glob("*.md")]
    assert any(find_commands(page.read_text(encoding="utf-8"), benchmark) for page in pages), (
        f"add a section with `scripts/bench {benchmark.name}` to docs/performance.md or a page of docs/evidence"
    )


def test_performance_page_is_measured_by_one_command() -> None:
    text = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    assert "scripts/bench --page" in text
    for benchmark in list_page_benchmarks():
        assert f"scripts/bench {benchmark.name}" in text, f"docs/performance.md lacks the figures of {benchmark.name}"


@pytest.mark.parametrize("benchmark", list_page_benchmarks(), ids=lambda each: each.name)
def test_options_of_the_page_are_accepted(benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"benchmarks.{benchmark.module}")
    monkeypatch.setattr(sys, "argv", [benchmark.name, *(benchmark.page_options or ()), "--json"])
    assert module.parse_options().json
