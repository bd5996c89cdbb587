"""``scripts/chaos``: injects faults into the pipeline and accounts for every line."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from benchmarks.machine import Machine, load
from inferlog_ops.cli.options import Json
from inferlog_ops.core.console import err, out, print_json
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.exits import interrupt_on_signal, run_command
from inferlog_ops.core.progress import show_progress
from tests.chaos import fault_list, matrix, report
from tests.chaos.fault_list import FAULTS, PAIRS, Trial
from tests.chaos.faults import clock
from tests.chaos.scenario import Pace, TrialResult
from tests.chaos.unprivileged import leave_root

app = typer.Typer(name="scripts/chaos", pretty_exceptions_enable=False, add_completion=False)


@app.command()
def chaos(
    full: Annotated[
        bool, typer.Option("--full", help="Run every fault alone, and pairs of faults that may aggravate each other.")
    ] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME", help="Run only this fault, or two as NAME+NAME. Repeatable."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, max=3600, help="Duration of each --fault. Default: as in --full.")
    ] = None,
    rate: Annotated[float, typer.Option(min=1, max=1000, help="Requests per second.")] = 60.0,
    only_list: Annotated[bool, typer.Option("--list", help="List the faults and the pairs, then exit.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
    json: Json = False,
) -> None:
    """
    Inject faults into real processes under steady load, and account for every line.

    Starts Elasticsearch, a service with two workers and a shipper, in a temporary directory and on free ports. Without
    options, runs the most important faults for a few seconds each, in 4 minutes. With --full, runs all faults at full
    length, in about 40 minutes. If started by root, it runs as the user nobody, because root ignores file modes.

    Every line on the disk must be in the store exactly once, or among the dead letters. Events that the disk refused
    must be counted in the heartbeats and by the query lost_events. Exits with 1 if an invariant is violated, and keeps
    the files of that trial.
    """
    if json and markdown:
        raise OperatorError("--json and --markdown are both given; expected one of them", exit_code=2)
    if full and fault:
        raise OperatorError("--full and --fault are both given; expected one of them", exit_code=2)
    if seconds and not fault:
        raise OperatorError("--seconds needs --fault: it is the duration of the faults named", exit_code=2)
    trials = (
        [fault_list.find_trial(name, seconds) for name in fault]
        if fault
        else fault_list.build_full_matrix()
        if full
        else fault_list.build_short_matrix()
    )
    if only_list:
        _show_list(json=json)
        return
    leave_root(sys.argv[1:])
    results: list[TrialResult] = []
    try:
        _carry_out(trials, results, before_seconds=10.0 if full else 2.0, rate=rate)
    finally:
        if results:  # also after an error or a signal
            _show(results, json=json, markdown=markdown)
    if left_out := [trial.name for trial in trials[len(results) :]]:
        err.print(f"interrupted; not done: {', '.join(left_out)}", markup=False, highlight=False)
        raise KeyboardInterrupt
    if any(result.broken for result in results):
        raise typer.Exit(1)


def _carry_out(trials: list[Trial], done: list[TrialResult], *, before_seconds: float, rate: float) -> None:
    """Run *trials* and append each result to *done*, until a signal ends the run."""

    with interrupt_on_signal(), matrix.make_working_directory() as root, show_progress() as show:
        try:
            for result in matrix.run_trials(
                trials, root=root, pace=Pace(rate=rate, before_seconds=before_seconds), report=show
            ):
                done.append(result)
                for sentence in result.broken:
                    err.print(f"{result.trial.name}: {sentence}", markup=False, highlight=False)
        except KeyboardInterrupt:
            show("stopping all processes")
        finally:
            if any(result.broken for result in done):
                err.print(f"files of the failed trials: {root}", markup=False, highlight=False)


def _show_list(*, json: bool) -> None:

    if json:
        print_json({"faults": {fault.name: fault.what for fault in FAULTS.values()}, "pairs": PAIRS})
        return
    for fault in FAULTS.values():
        out.print(f"{fault.name:19}{fault.what} ({fault.seconds:g} s)", highlight=False, markup=False)
    for pair in PAIRS:
        out.print("+".join(pair), highlight=False, markup=False)


def _show(results: list[TrialResult], *, json: bool, markdown: bool) -> None:

    if json:
        print_json({"trials": [report.build_json(result) for result in results]})
        return
    if not markdown:
        out.print(report.build_table(results))
        return
    where = f"{datetime.now(UTC):%Y-%m-%d}, {Machine.describe_this().format_line()}; load at the end {load()}; "
    where += f"clock: {clock.describe_method()}."
    out.print(f"{where}\n\n{report.render_markdown(results)}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(run_command(app, "scripts/chaos"))
