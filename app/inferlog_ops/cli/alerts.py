"""``inferlog alerts``: lists the alert rules and evaluates them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url, open_cluster
from inferlog_ops.core.console import err, escape_control, format_count, out, print_json
from inferlog_ops.core.errors import OperatorError

if TYPE_CHECKING:
    from inferlog_ops.core.cluster import Cluster
    from inferlog_ops.query.rules.evaluate import Evaluation
    from inferlog_ops.query.rules.rules import Rule

Result = TypeVar("Result")

app = typer.Typer(help="The alert rules: list them, or check which fire now.", no_args_is_help=True)

_STYLES = {"critical": "red", "warning": "yellow"}


class Exit(IntEnum):
    """Exit codes of ``inferlog alerts check``, for cron and CI. 2 is wrong usage, as in every command."""

    QUIET = 0
    FIRING = 1
    NOT_EVALUATED = 3


@app.command("list")
def list_rules(json: Json = False) -> None:
    """List the rules and the condition of each."""
    from inferlog_ops.query.dashboards.slo import load
    from inferlog_ops.query.rules.condition import fill_levels
    from inferlog_ops.query.rules.rules import load_all

    levels = load()
    rules = load_all().values()
    if json:
        print_json([_describe_rule(rule, fill_levels(rule, rule.where, levels)) for rule in rules])
        return
    table = Table("rule", "severity", "over", "fires when", box=None, pad_edge=False)
    for rule in rules:
        table.add_row(rule.name, rule.severity, str(rule.window), Text(fill_levels(rule, rule.where, levels)))
    out.print(table)


@app.command()
def check(
    rule: Annotated[list[str] | None, typer.Option(help="Evaluate only this rule. Repeatable.")] = None,
    at: Annotated[
        str | None, typer.Option(help="Evaluate at this time, ISO 8601, UTC if no offset. Default: now.")
    ] = None,
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="INFERLOG_ALERTS_NOTIFY",
            help="POST firing alerts and evaluation failures to this webhook as JSON.",
            show_envvar=True,
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write firing alerts to inferlog-alerts-<namespace> for the dashboard.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing if no alert fires (for cron).")] = False,
    json: Json = False,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """
    Evaluate the rules in Elasticsearch and print the alerts that fire.

    Exit code 0: no alert; 1: at least one alert; 2: wrong usage; 3: no alert, but some rules could not be evaluated.
    """
    from inferlog_ops.query.rules import notify as webhook
    from inferlog_ops.query.rules.alerts import record as write

    receiver = webhook.parse_webhook_url(notify) if notify else None
    cluster = open_cluster(url, namespace, home)
    evaluation = _evaluate(cluster, rule or [], at)
    # Before the output, which may be a file on a full disk.
    if record:
        _print_failure_of(lambda: write(cluster, evaluation.alerts))
    if receiver and (evaluation.alerts or evaluation.failures):
        _print_failure_of(lambda: webhook.post(receiver, webhook.build_message(evaluation)))
    if json:
        print_json(evaluation.as_json())
    else:
        _print(evaluation, quiet=quiet)
    raise typer.Exit(_exit_code(evaluation))


def _evaluate(cluster: "Cluster", names: list[str], at: str | None) -> "Evaluation":
    from inferlog_ops.core.streams import build_stream_name
    from inferlog_ops.query import library
    from inferlog_ops.query.dashboards import slo
    from inferlog_ops.query.rules import rules
    from inferlog_ops.query.rules.evaluate import evaluate
    from inferlog_ops.query.run import FIRST_TIME, LAST_TIME, find_future_events
    from inferlog_ops.query.timerange import parse_moment

    moment = parse_moment(at, "--at") if at else datetime.now(UTC)
    if not FIRST_TIME < moment <= LAST_TIME:
        raise OperatorError(
            f"--at is {at!r}; expected a time within {FIRST_TIME.year} and {LAST_TIME.year}, the years that "
            "Elasticsearch can index",
            exit_code=2,
        )
    try:
        wanted = [rules.find(name) for name in names] or list(rules.load_all().values())
        evaluation = evaluate(cluster, wanted, slo.load(), library.load_all(), moment)
    except OperatorError as error:
        if error.exit_code == Exit.FIRING:  # the exit code of any other failure
            raise OperatorError(str(error), exit_code=Exit.NOT_EVALUATED) from error
        raise
    if at is not None or evaluation.failures:
        return evaluation
    stream = build_stream_name("events", cluster.namespace)
    return replace(evaluation, future=_print_failure_of(lambda: find_future_events(cluster, [stream], moment)))


def _exit_code(evaluation: "Evaluation") -> Exit:
    if evaluation.alerts:
        return Exit.FIRING
    return Exit.NOT_EVALUATED if evaluation.failures else Exit.QUIET


def _print_failure_of(act: Callable[[], Result]) -> Result | None:
    """Return the result of *act*, or print its error: the exit code is reserved for the alerts."""
    try:
        return act()
    except OperatorError as error:
        err.print(Text(f"inferlog: {error}", style="red"))
        return None


def _print(evaluation: "Evaluation", *, quiet: bool) -> None:
    for name, missing in evaluation.not_counted.items() if evaluation.alerts or not quiet else ():
        err.print(Text(f"{name}: {missing}", style="yellow"))
    if evaluation.future and (evaluation.alerts or not quiet):
        err.print(Text(evaluation.future.text, style="yellow"))
    for reason, names in evaluation.failures.items():
        err.print(Text(f"not evaluated: {', '.join(names)}: {reason}", style="red"))
    if evaluation.alerts:
        out.print(_build_table(evaluation))
        for name, count in evaluation.not_listed.items():
            err.print(Text(f"{name}: at least {count:,} more alerts fire than the table shows", style="yellow"))
    elif not quiet and not evaluation.failures:
        err.print(
            f"No alert fires ({format_count(evaluation.rules, 'rule')}, {evaluation.at:%Y-%m-%d %H:%M:%S} UTC).",
            highlight=False,
        )


def _build_table(evaluation: "Evaluation") -> Table:
    from inferlog_ops.query.rules.alerts import format_figure

    table = Table("rule", "severity", "about", "value", "threshold", "figures", box=None, pad_edge=False)
    for alert in evaluation.alerts:
        severity = alert.rule.severity
        table.add_row(
            alert.rule.name,
            Text(severity, style=_STYLES[severity]),
            Text(escape_control(alert.group_text)),
            format_figure(alert.value),
            format_figure(alert.threshold),
            Text(escape_control(alert.figures_text)),
        )
    return table


def _describe_rule(rule: "Rule", where: str) -> dict[str, str]:
    return {
        "name": rule.name,
        "title": rule.title,
        "severity": rule.severity,
        "query": rule.query,
        "fires_when": where,
        "window": str(rule.window),
        "every": str(rule.every),
        "description": rule.description,
    }
