"""Commands of the set-up containers: ``python -m inferlog_ops.cli.stack``."""

import os
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from inferlog_ops.cli import redrive as redriving
from inferlog_ops.cli.options import Json
from inferlog_ops.core.console import err, out
from inferlog_ops.core.exits import run_command
from inferlog_ops.provision.desired import ProvisionOutcome
from inferlog_ops.provision.stack import roles, secret_files, users
from inferlog_ops.provision.stack import rotate as rotation
from inferlog_ops.provision.stack.api_keys import lend_key
from inferlog_ops.provision.stack.certificates import CERTIFICATE
from inferlog_ops.provision.stack.kibana_objects import provision_objects
from inferlog_ops.provision.stack.kubernetes import ServiceAccount, provision_from_pod
from inferlog_ops.provision.stack.login import SUPERUSER, log_in
from inferlog_ops.provision.stack.prepare import prepare as prepare_files
from inferlog_ops.provision.stack.provision import provision as provision_elasticsearch
from inferlog_ops.provision.stack.rotate import RotatableSecret
from inferlog_ops.provision.stack.settings import StackSettings
from inferlog_ops.ship.redrive.letter_files import find_letter_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inferlog_ops.provision.desired import ProvisionedObject
    from inferlog_ops.ship.redrive.resend import LetterSource

SHOW_PASSWORD = "docker compose run --rm --no-deps prepare show-password"  # noqa: S105 (a command, no password)

app = typer.Typer(
    name="python -m inferlog_ops.cli.stack",
    help="Prepares and provisions the container stack, or an existing cluster from Kubernetes. "
    "Each command can be repeated and interrupted at any time.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Person(StrEnum):
    """Users whose password can be printed."""

    OPERATOR = users.OPERATOR
    ELASTIC = SUPERUSER


@app.command()
def prepare() -> None:
    """Create certificates, passwords and keys as files. Needs no network."""
    done = prepare_files(_read_settings(), _read_time(), warn=_log)
    _print_results(done)
    if any(each.kind == CERTIFICATE and each.outcome is ProvisionOutcome.UPDATED for each in done):
        _log(rotation.TO_DO[RotatableSecret.CERTIFICATES])


@app.command()
def provision() -> None:
    """Create templates, data streams, roles, users and API keys in Elasticsearch."""
    _print_results(provision_elasticsearch(_read_settings(), on_progress=_log))


@app.command()
def provision_kubernetes() -> None:
    """Create templates, data streams and API keys in Elasticsearch, and write the keys into a Secret. Runs in a pod."""
    _print_results(provision_from_pod(_read_settings(), ServiceAccount.read(), on_progress=_log))


@app.command()
def provision_kibana() -> None:
    """Create data views, dashboards, saved queries and alert rules in Kibana."""
    _print_results(provision_objects(_read_settings(), on_progress=_log))


@app.command()
def show_login() -> None:
    """Print Kibana's address, its user, and the command that prints the password."""
    lines = f"Kibana:   {_read_settings().public_kibana_url}\nuser:     {users.OPERATOR}\npassword: {SHOW_PASSWORD}"
    out.print(lines, highlight=False, markup=False)


@app.command()
def show_password(
    name: Annotated[Person, typer.Argument(help="User: the operator or the superuser.")] = Person.OPERATOR,
) -> None:
    """Print a password. No other command prints a secret."""
    settings = _read_settings()
    file = settings.operator_password if name is Person.OPERATOR else settings.elastic_password
    out.print(secret_files.read(file), highlight=False, markup=False)


@app.command()
def rotate(
    name: Annotated[RotatableSecret, typer.Argument(help="Owner of the new secret.")],
) -> None:
    """Replace the secret of a user, a program or the servers, and print which containers to restart."""
    _print_results(rotation.rotate(_read_settings(), name, _read_time(), _log))
    _log(rotation.TO_DO[name])


@app.command()
def redrive(
    failure_store: redriving.FromFailureStore = False,
    only_list: redriving.OnlyList = False,
    dry_run: redriving.DryRun = False,
    json: Json = False,
) -> None:
    """
    Send Fluentd's dead letters again, after their cause is fixed.

    List them first with --list. Files and leftovers are described in: inferlog redrive --help.
    """
    settings = _read_settings()
    sources: list[LetterSource] = [
        *find_letter_files([settings.dead_letters] if settings.dead_letters.exists() else [])
    ]
    with lend_key(log_in(settings, _log).cluster, roles.REDRIVE) as cluster:
        if failure_store:
            sources += redriving.open_failure_stores(cluster)
        if only_list:
            redriving.show_list(sources, json=json)
        else:
            redriving.resend(sources, cluster, dry_run=dry_run, json=json)


def run() -> int:
    """Run the command line in ``sys.argv`` and return the exit code."""
    return run_command(app, "inferlog_ops.cli.stack")


def _print_results(done: "Sequence[ProvisionedObject]") -> None:
    """
    Print a line for each changed object of *done*, and the number of unchanged ones.

    Raises:
        typer.Exit: If one was refused.
    """
    for each in done:
        if each.outcome is not ProvisionOutcome.UNCHANGED:
            reason = f": {each.reason}" if each.reason else ""
            out.print(f"{each.outcome} {each.kind} {each.name}{reason}", highlight=False, markup=False)
    if unchanged := sum(each.outcome is ProvisionOutcome.UNCHANGED for each in done):
        out.print(f"{unchanged} unchanged", highlight=False)
    if any(each.outcome is ProvisionOutcome.REFUSED for each in done):
        raise typer.Exit(1)


def _log(text: str) -> None:
    err.print(text, highlight=False, markup=False)


def _read_settings() -> StackSettings:
    return StackSettings.read(os.environ)


def _read_time() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(run())
