"""The ``inferlog`` command: registers all commands; errors become one sentence and an exit code."""

from typing import Annotated

import typer

from inferlog_ops.cli import (
    alerts,
    audit,
    compare,
    demo,
    engine,
    preview,
    provision,
    query,
    reconcile,
    redrive,
    ship,
    summarize,
    trace,
)
from inferlog_ops.core.exits import run_command

app = typer.Typer(
    name="inferlog",
    help="From a Python inference service to p99, error rate, requests per second and tokens per model version.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.add_typer(engine.app, name="engine")
app.command("provision")(provision.provision)
app.command("ship")(ship.ship)
app.command("query")(query.query)
app.command("preview")(preview.preview)
app.command("compare")(compare.compare)
app.command("trace")(trace.trace)
app.command("reconcile")(reconcile.reconcile)
app.command("redrive")(redrive.redrive)
app.add_typer(audit.app, name="audit")
app.add_typer(alerts.app, name="alerts")
app.command("summarize")(summarize.summarize)


def _print_version(wanted: bool) -> None:
    if wanted:
        from inferlog import __version__

        typer.echo(f"inferlog {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Define the options before the command name."""


def run() -> int:
    """Run the command line in ``sys.argv`` and return the exit code."""
    return run_command(app, "inferlog")
