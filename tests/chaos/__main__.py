"""``scripts/chaos``: breaks the pipeline on purpose and accounts for every line."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from benchmarks.machine import Machine, load
from inferlog_ops.cli.options import Json
from inferlog_ops.core.console import err, out, print_json
from inferlog_ops.core.ending import exit_code_of, one_signal_ends
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import shown_progress
from tests.chaos import catalogue, clock, matrix, report
from tests.chaos.catalogue import FAULTS, PAIRS, Trial
from tests.chaos.scenario import Pace, Result
from tests.chaos.unprivileged import leave_root

app = typer.Typer(name="scripts/chaos", pretty_exceptions_enable=False, add_completion=False)


@app.command()
def chaos(
    full: Annotated[
        bool, typer.Option("--full", help="Every fault alone, and those that could make each other worse in pairs.")
    ] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME", help="Only this one, or two as NAME+NAME. May be given several times."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, max=3600, help="How long each --fault lasts. Default: as in --full.")
    ] = None,
    rate: Annotated[float, typer.Option(min=1, max=1000, help="Requests per second.")] = 60.0,
    only_list: Annotated[bool, typer.Option("--list", help="Name the faults and the pairs, and end.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
    json: Json = False,
) -> None:
    """
    Break the pipeline on purpose, on real processes under steady load, and count every line.

    Starts an Elasticsearch, a service with two workers, and a shipper, in a temporary directory and on ports of their
    own. Without options: the most telling faults, for a few seconds each, in 4 minutes. With --full: all of them as
    long as they take, in an hour. Root runs it as nobody, since root writes where nobody else may.

    Every line that reached the disk has to be in the store exactly once, or among the dead letters; what the disk
    refused has to be counted, in the heartbeats and by the query lost_events. Ends with 1 if that does not hold; what
    the trial has left behind is kept then.
    """
    if json and markdown:
        raise OperatorError("--json and --markdown are both given; expected one of them", exit_code=2)
    if full and fault:
        raise OperatorError("--full and --fault are both given; expected one of them", exit_code=2)
    if seconds and not fault:
        raise OperatorError("--seconds is given without --fault, whose time it is", exit_code=2)
    trials = (
        [catalogue.trial(name, seconds) for name in fault]
        if fault
        else catalogue.full_matrix()
        if full
        else catalogue.short_matrix()
    )
    if only_list:
        _show_list(json=json)
        return
    leave_root(sys.argv[1:])
    results: list[Result] = []
    try:
        _carry_out(trials, results, before_seconds=10.0 if full else 2.0, rate=rate)
    finally:
        if results:  # whatever ends it, what is done is shown
            _show(results, json=json, markdown=markdown)
    if left_out := [trial.name for trial in trials[len(results) :]]:
        err.print(f"interrupted; not done: {', '.join(left_out)}", markup=False, highlight=False)
        raise KeyboardInterrupt
    if any(result.broken for result in results):
        raise typer.Exit(1)


def _carry_out(trials: list[Trial], done: list[Result], *, before_seconds: float, rate: float) -> None:
    """Add the result of each of *trials* to *done*, as soon as there is one, until a signal ends it."""

    with one_signal_ends(), matrix.working_directory() as root, shown_progress() as say:
        try:
            for result in matrix.results(
                trials, root=root, pace=Pace(rate=rate, before_seconds=before_seconds), say=say
            ):
                done.append(result)
                for sentence in result.broken:
                    err.print(f"{result.trial.name}: {sentence}", markup=False, highlight=False)
        except KeyboardInterrupt:
            say("ending what was started")
        finally:
            if any(result.broken for result in done):
                err.print(f"what the trials that broke a promise have left: {root}", markup=False, highlight=False)


def _show_list(*, json: bool) -> None:

    if json:
        print_json({"faults": {fault.name: fault.what for fault in FAULTS.values()}, "pairs": PAIRS})
        return
    for fault in FAULTS.values():
        out.print(f"{fault.name:19}{fault.what} ({fault.seconds:g} s)", highlight=False, markup=False)
    for pair in PAIRS:
        out.print("+".join(pair), highlight=False, markup=False)


def _show(results: list[Result], *, json: bool, markdown: bool) -> None:

    if json:
        print_json({"trials": [report.as_json(result) for result in results]})
        return
    if not markdown:
        out.print(report.as_table(results))
        return
    where = f"{datetime.now(UTC):%Y-%m-%d}, {Machine.this().line()}; load at the end {load()}; clock: {clock.method()}."
    out.print(f"{where}\n\n{report.as_markdown(results)}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(exit_code_of(app, "scripts/chaos"))
