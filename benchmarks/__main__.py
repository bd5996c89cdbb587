"""``scripts/bench``: measures this checkout and compares it with other libraries."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from benchmarks import benchmark_list
from benchmarks.benchmark_process import hold_lock, run_benchmark
from benchmarks.machine import Machine
from benchmarks.run_page import RunPage
from inferlog_ops.cli.options import Json
from inferlog_ops.core.console import err, out, print_json
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.exits import interrupt_on_signal, run_command
from inferlog_ops.core.home import find_cache_dir
from inferlog_ops.core.progress import show_progress

app = typer.Typer(name="scripts/bench", pretty_exceptions_enable=False, add_completion=False)


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Benchmarks to run. Default: all except long_run.")
    ] = None,
    *,
    for_page: Annotated[
        bool, typer.Option("--page", help="Measure the figures of docs/performance.md: about 16 minutes.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Use small sizes: about three minutes for all.")] = False,
    only_list: Annotated[bool, typer.Option("--list", help="List the benchmarks, then exit.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page in Markdown.")] = False,
    json: Json = False,
) -> None:
    """
    Run the benchmarks of a checkout: events, requests, shipping, panels, disk, and lag.

    Each benchmark also runs alone, with options for its sizes: python -m benchmarks.lag --help. At full size they take
    about an hour and 5 GB of disk, and start their own engines, services and shippers, all on 127.0.0.1.

    Compared variants alternate within one run: on a shared machine, trust the ratios, and check the load.

    Exits with 1 if a benchmark fails. A goal missed on this machine is reported in its table and at the end, and does
    not count as a failure; a benchmark run alone exits with 3 in this case.
    """
    if json and markdown:
        raise OperatorError("--json and --markdown are both given; expected one of them", exit_code=2)
    if only_list:
        _show_list(json=json)
        return
    if for_page and (names or quick):
        raise OperatorError("--page is given with names or --quick; expected one of them", exit_code=2)
    wanted = benchmark_list.list_page_benchmarks() if for_page else benchmark_list.find_benchmarks(names or [])
    options = [option for option, given in (("--quick", quick), ("--json", json), ("--markdown", markdown)) if given]
    page = RunPage(machine=Machine.describe_this(), began=datetime.now(UTC))
    with interrupt_on_signal(), hold_lock(find_cache_dir() / "bench.lock"), show_progress() as report:
        try:
            for benchmark in wanted:
                of_page = benchmark.page_options if for_page and benchmark.page_options else ()
                command = benchmark_list.build_command(benchmark, *of_page, *options)
                page.findings.append(run_benchmark(benchmark.name, command, report))
        except KeyboardInterrupt:
            page.left_out = [benchmark.name for benchmark in wanted[len(page.findings) :]]
    _show(page, json=json, markdown=markdown)
    if page.left_out:
        raise KeyboardInterrupt
    if any(finding.failure for finding in page.findings):
        raise typer.Exit(1)


def _show_list(*, json: bool) -> None:
    if json:
        print_json(benchmark_list.BENCHMARKS)
        return
    for benchmark in benchmark_list.BENCHMARKS:
        out.print(f"{benchmark.name:14}{benchmark.question}", highlight=False)


def _show(page: RunPage, *, json: bool, markdown: bool) -> None:
    if json:
        print_json(page.build_json())
    else:
        out.print(page.render(markdown=markdown), markup=False, highlight=False)
    for finding in page.findings:
        if finding.failure:
            err.print(f"{finding.name} failed: {finding.failure}", markup=False, highlight=False)
        if finding.missed:
            err.print(f"{finding.name}: {finding.missed}", markup=False, highlight=False)
    if page.left_out:
        err.print(f"interrupted; not done: {', '.join(page.left_out)}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(run_command(app, "scripts/bench"))
