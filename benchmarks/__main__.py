"""``scripts/bench``: measures the cost of this checkout beside the cost of other libraries."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from benchmarks import catalogue
from benchmarks.machine import Machine
from benchmarks.report import Page
from benchmarks.run import alone, run
from inferlog_ops.cli.options import Json
from inferlog_ops.core.console import err, out, print_json
from inferlog_ops.core.ending import exit_code_of, one_signal_ends
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import cache_dir
from inferlog_ops.core.progress import shown_progress

app = typer.Typer(name="scripts/bench", pretty_exceptions_enable=False, add_completion=False)


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Which ones. Default: all but long_run.")
    ] = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: about three minutes for all of them.")] = False,
    only_list: Annotated[bool, typer.Option("--list", help="Name the benchmarks and end.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page in Markdown.")] = False,
    json: Json = False,
) -> None:
    """
    Measure, in a checkout of the repository: events, requests, shipping, panels, disk, and lag.

    Each benchmark also runs alone, with options for its sizes: python -m benchmarks.lag --help. In full they take
    about an hour and 5 GB of disk, and start engines, services and shippers of their own, all on 127.0.0.1.

    What is compared takes turns within one run: on a shared machine look at the ratios, and at the load beside them.

    Ends with 1 if a benchmark fails. That a goal is missed on this machine is said in its table and at the end, and is
    no failure; a script that is run alone ends with 3 then.
    """
    if json and markdown:
        raise OperatorError("--json and --markdown are both given; expected one of them", exit_code=2)
    if only_list:
        _show_list(json=json)
        return
    wanted = catalogue.named(names or [])
    options = [option for option, given in (("--quick", quick), ("--json", json), ("--markdown", markdown)) if given]
    page = Page(machine=Machine.this(), began=datetime.now(UTC))
    with one_signal_ends(), alone(cache_dir() / "bench.lock"), shown_progress() as say:
        try:
            for benchmark in wanted:
                page.findings.append(run(benchmark.name, catalogue.command_of(benchmark, *options), say))
        except KeyboardInterrupt:
            page.left_out = [benchmark.name for benchmark in wanted[len(page.findings) :]]
    _show(page, json=json, markdown=markdown)
    if page.left_out:
        raise KeyboardInterrupt
    if any(finding.failure for finding in page.findings):
        raise typer.Exit(1)


def _show_list(*, json: bool) -> None:
    if json:
        print_json(catalogue.BENCHMARKS)
        return
    for benchmark in catalogue.BENCHMARKS:
        out.print(f"{benchmark.name:10}{benchmark.question}", highlight=False)


def _show(page: Page, *, json: bool, markdown: bool) -> None:
    if json:
        print_json(page.as_json())
    else:
        out.print(page.as_text(markdown=markdown), markup=False, highlight=False)
    for finding in page.findings:
        if finding.failure:
            err.print(f"{finding.name} failed: {finding.failure}", markup=False, highlight=False)
        if finding.missed:
            err.print(f"{finding.name}: {finding.missed}", markup=False, highlight=False)
    if page.left_out:
        err.print(f"interrupted; not done: {', '.join(page.left_out)}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(exit_code_of(app, "scripts/bench"))
