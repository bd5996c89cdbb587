"""The commands of the set-up containers: ``python -m inferlog_ops.cli.stack``."""

import os
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from inferlog_ops.cli import redrive as redriving
from inferlog_ops.cli.options import Json
from inferlog_ops.core.console import out
from inferlog_ops.core.ending import exit_code_of
from inferlog_ops.provision.stack import report, roles, secret_files, users
from inferlog_ops.provision.stack import rotate as rotation
from inferlog_ops.provision.stack.kibana_objects import provision_objects
from inferlog_ops.provision.stack.lent_key import lent_key
from inferlog_ops.provision.stack.login import SUPERUSER, log_in
from inferlog_ops.provision.stack.prepare import prepare as prepare_files
from inferlog_ops.provision.stack.provision import provision as provision_elasticsearch
from inferlog_ops.provision.stack.rotate import Rotated
from inferlog_ops.provision.stack.settings import Settings
from inferlog_ops.ship.redrive.letter_files import find

if TYPE_CHECKING:
    from inferlog_ops.ship.redrive.run import Source

SHOW_PASSWORD = "docker compose run --rm --no-deps prepare show-password"  # noqa: S105 (a command, no password)

app = typer.Typer(
    name="python -m inferlog_ops.cli.stack",
    help="Prepares and provisions the container stack. Each command can be repeated and interrupted at any time.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Person(StrEnum):
    """Whose password a person may want to see."""

    OPERATOR = users.OPERATOR
    ELASTIC = SUPERUSER


@app.command()
def prepare() -> None:
    """Make certificates, passwords and keys, as files for those that need them. Asks nobody."""
    report.show(prepare_files(_settings(), _now(), warn=report.say))


@app.command()
def provision() -> None:
    """Put templates, data streams, roles, users and API keys into Elasticsearch."""
    settings = _settings()
    report.show(provision_elasticsearch(settings, on_progress=report.say))
    _show_way_in(settings)


@app.command()
def provision_kibana() -> None:
    """Put data views, dashboards, saved queries and alert rules into Kibana."""
    settings = _settings()
    report.show(provision_objects(settings, on_progress=report.say))
    _show_way_in(settings)


@app.command()
def show_password(
    name: Annotated[Person, typer.Argument(help="Whose: the person's, or the superuser's.")] = Person.OPERATOR,
) -> None:
    """Print a password. No other command prints a secret."""
    settings = _settings()
    file = settings.operator_password if name is Person.OPERATOR else settings.elastic_password
    out.print(secret_files.read(file), highlight=False, markup=False)


@app.command()
def rotate(name: Annotated[Rotated, typer.Argument(help="What gets a new secret.")]) -> None:
    """Give a user, a program or the servers a new secret, and say what has to be started again."""
    report.show(rotation.rotate(_settings(), name, _now(), report.say))
    report.say(rotation.TO_DO[name])


@app.command()
def redrive(
    failure_store: redriving.FromFailureStore = False,
    only_list: redriving.OnlyList = False,
    dry_run: redriving.DryRun = False,
    json: Json = False,
) -> None:
    """
    Send Fluentd's dead letters again, after what they were refused for is mended.

    First see which there are: --list. Which file holds what, and what is left where: inferlog redrive --help.
    """
    settings = _settings()
    sources: list[Source] = [*find([settings.dead_letters] if settings.dead_letters.exists() else [])]
    with lent_key(log_in(settings, report.say).cluster, roles.REDRIVE) as cluster:
        if failure_store:
            sources += redriving.failure_stores(cluster)
        if only_list:
            redriving.show_list(sources, json=json)
        else:
            redriving.resend(sources, cluster, dry_run=dry_run, json=json)


def run() -> int:
    """Run the command line in ``sys.argv``; return 0, or the exit code of what went wrong."""
    return exit_code_of(app, "inferlog_ops.cli.stack")


def _show_way_in(settings: Settings) -> None:
    out.print(f"Kibana: {settings.public_kibana_url} (user: {users.OPERATOR}; password: {SHOW_PASSWORD})", markup=False)


def _settings() -> Settings:
    return Settings.read(os.environ)


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(run())
