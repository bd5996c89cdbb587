"""``inferlog bench``: measures what this checkout costs, beside what others cost."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from inferlog_ops.commands.options import Json
from inferlog_ops.console import err, out, print_json
from inferlog_ops.ending import one_signal_ends
from inferlog_ops.errors import OperatorError

if TYPE_CHECKING:
    from inferlog_ops.bench.report import Page


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

    Each benchmark is a script in benchmarks/ that runs alone as well, with options for its sizes. In full they take
    about an hour and 5 GB of disk, and start engines, services and shippers of their own, all on 127.0.0.1.

    What is compared takes turns within one run: on a shared machine look at the ratios, and at the load beside them.

    Ends with 1 if a benchmark fails. That a goal is missed on this machine is said in its table and at the end, and is
    no failure; a script that is run alone ends with 3 then.
    """
    from inferlog_ops.bench import catalogue
    from inferlog_ops.bench.machine import Machine
    from inferlog_ops.bench.report import Page
    from inferlog_ops.bench.run import alone, run
    from inferlog_ops.home import cache_dir
    from inferlog_ops.progress import shown_progress

    if json and markdown:
        raise OperatorError("--json and --markdown are both given; expected one of them", exit_code=2)
    if only_list:
        _show_list(json=json)
        return
    wanted = [(benchmark, catalogue.script_of(benchmark)) for benchmark in catalogue.named(names or [])]
    options = [option for option, given in (("--quick", quick), ("--json", json), ("--markdown", markdown)) if given]
    page = Page(machine=Machine.this(), began=datetime.now(UTC))
    with one_signal_ends(), alone(cache_dir() / "bench.lock"), shown_progress() as say:
        try:
            for benchmark, script in wanted:
                page.findings.append(run(benchmark, script, *options, say=say))
        except KeyboardInterrupt:
            page.left_out = [benchmark.name for benchmark, _ in wanted[len(page.findings) :]]
    _show(page, json=json, markdown=markdown)
    if page.left_out:
        raise KeyboardInterrupt
    if any(finding.failure for finding in page.findings):
        raise typer.Exit(1)


def _show_list(*, json: bool) -> None:
    from inferlog_ops.bench.catalogue import BENCHMARKS

    if json:
        print_json(BENCHMARKS)
        return
    for benchmark in BENCHMARKS:
        out.print(f"{benchmark.name:10}{benchmark.question}", highlight=False)


def _show(page: "Page", *, json: bool, markdown: bool) -> None:
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
