"""``inferlog summarize``: summaries of events per minute and hour, for ranges longer than their retention."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url, open_cluster
from inferlog_ops.core.console import err, escape_control, format_count, out, print_json
from inferlog_ops.core.errors import OperatorError

if TYPE_CHECKING:
    from inferlog_ops.core.cluster import Cluster
    from inferlog_ops.summarize.job import Difference, LeftOut, SummarizeResult, SummarizeSettings

_DIFFERENCES_SHOWN = 20
_LEFT_OUT_SHOWN = 20
_LONGEST_PAUSE = timedelta(days=366)


class SummarizeExit(IntEnum):
    """Exit codes, for cron and CI. 1 is also any failure, 2 is wrong usage, as in every command."""

    DONE = 0
    FAILED_OR_DIFFERENT = 1
    PREVENTED = 3
    LEFT_OUT = 4


def summarize(
    *,
    every: Annotated[
        str | None, typer.Option(metavar="TIME", help="Repeat at this interval, such as 5m. Default: run once.")
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Start of the range, ISO 8601, UTC if no offset. Default: --lookback before the newest summary.",
        ),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="End of the range, exclusive. Default: two minutes ago.")
    ] = None,
    lookback: Annotated[
        str, typer.Option(metavar="TIME", help="How far back to look for events that arrived late.")
    ] = "2d",
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing: compare the summaries with the events.")
    ] = False,
    json: Json = False,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """
    Summarize events per minute and hour, for the dashboard Long range.

    The first run begins with the oldest event. A repeated run changes only minutes that have more events than before.
    Runs can be interrupted, and two can run at once.

    Exit code 1: a failure, or a difference with --check; 2: wrong usage; 3: another run prevented some changes; 4: some
    events or values are in no summary.
    """
    from inferlog_ops.core.durations import parse_duration
    from inferlog_ops.query.run import FIRST_TIME, LAST_TIME, check_range
    from inferlog_ops.query.timerange import parse_moment
    from inferlog_ops.summarize.job import SummarizeSettings

    if check and every is not None:
        raise OperatorError("--check and --every are mutually exclusive; give one of them", exit_code=2)
    pause = None if every is None else parse_duration(every)
    if pause is not None and pause > _LONGEST_PAUSE:
        raise OperatorError(f"--every {every} is more than {_LONGEST_PAUSE.days} days; choose less", exit_code=2)
    settings = SummarizeSettings(
        start=parse_moment(from_, "--from") if from_ is not None else None,
        end=parse_moment(to, "--to") if to is not None else None,
        lookback=parse_duration(lookback),
    )
    if settings.start or settings.end:
        check_range(settings.start or FIRST_TIME, settings.end or LAST_TIME)
    cluster = open_cluster(url, namespace, home)
    if check:
        _check(cluster, settings, json=json)
    elif pause is None:
        result = _run_once(cluster, settings, json=json)
        if result.failures:
            raise typer.Exit(SummarizeExit.FAILED_OR_DIFFERENT)
        if result.prevented:
            raise typer.Exit(SummarizeExit.PREVENTED)
        if result.left_out_events or result.left_out_values:
            raise typer.Exit(SummarizeExit.LEFT_OUT)
    else:
        _repeat(cluster, settings, pause.total_seconds(), json=json)


def _run_once(cluster: "Cluster", settings: "SummarizeSettings", *, json: bool) -> "SummarizeResult":
    from inferlog_ops.core.progress import delay_progress, show_progress
    from inferlog_ops.summarize.job import summarize as run

    with show_progress() as show:
        result = run(cluster, settings, datetime.now(UTC), delay_progress(show))
    if json:
        print_json(result.as_json())
    else:
        out.print(
            f"{format_count(result.minutes, 'minute')} summarized, {result.late_minutes:,} of them with late events. "
            f"Documents: {result.created:,} created, {result.replaced:,} replaced, {result.deleted:,} deleted, "
            f"{result.unchanged:,} unchanged.",
            highlight=False,
        )
    if result.left_out_events:
        what = "event is in no summary: its minute was"
        if result.left_out_events > 1:
            what = "events are in no summary: their minutes were"
        _warn(f"{result.left_out_events:,} {what} summarized before older events were deleted")
    if result.future_summaries:
        are = "summary is" if result.future_summaries == 1 else "summaries are"
        _warn(f"{result.future_summaries:,} {are} of minutes in the future; compare the clocks of the hosts")
    for failure in result.failures:
        _warn(f"not summarized: {failure}")
    _warn_of_left_out_values(result.left_out_values)
    if result.prevented:
        _warn(f"another run prevented {format_count(result.prevented, 'change')}; run inferlog summarize again")
    return result


def _warn_of_left_out_values(left_out: "Sequence[LeftOut]") -> None:
    """Name minute, version and limit of values that are in no sum."""
    from inferlog_ops.query.library import NO_VALUE
    from inferlog_ops.summarize.events import MOST_SECONDS, MOST_TOKENS, MOST_USD

    for each in left_out[:_LEFT_OUT_SHOWN]:
        version = escape_control(each.model_version or NO_VALUE)
        _warn(
            f"{each.start:%Y-%m-%d %H:%M} UTC, {version}: {format_count(each.events, 'event')} with values in no sum: "
            f"over {MOST_TOKENS:,} tokens, {MOST_SECONDS:,} s or {MOST_USD:,} US$"
        )
    if len(left_out) > _LEFT_OUT_SHOWN:
        _warn(f"… and {len(left_out) - _LEFT_OUT_SHOWN:,} more; --json lists all of them")


def _repeat(cluster: "Cluster", settings: "SummarizeSettings", pause_seconds: float, *, json: bool) -> None:
    """Run until a signal stops the process. A failed run is reported, and the next one makes up for it."""
    from inferlog_ops.core.exits import interrupt_on_signal

    with suppress(KeyboardInterrupt), interrupt_on_signal():
        while True:
            began = time.monotonic()
            try:
                _run_once(cluster, settings, json=json)
            except OperatorError as error:
                if error.exit_code == 2:
                    raise
                _warn(str(error))
            time.sleep(max(0.0, began + pause_seconds - time.monotonic()))


def _check(cluster: "Cluster", settings: "SummarizeSettings", *, json: bool) -> None:
    from inferlog_ops.core.progress import delay_progress, show_progress
    from inferlog_ops.summarize.job import check as compare

    with show_progress() as show:
        minutes, differences = compare(cluster, settings, datetime.now(UTC), delay_progress(show))
    if json:
        print_json({"minutes": minutes, "differences": [each.as_json() for each in differences]})
    elif differences:
        out.print(f"{len(differences):,} of {minutes:,} minutes and their hours differ:", highlight=False)
        for each in differences[:_DIFFERENCES_SHOWN]:
            out.print(_describe_difference(each), highlight=False)
        if len(differences) > _DIFFERENCES_SHOWN:
            more = len(differences) - _DIFFERENCES_SHOWN
            err.print(f"… and {more:,} more; --json lists all of them", highlight=False)
    else:
        agree = "minute agree" if minutes == 1 else "minutes agree"
        out.print(f"The summaries of {minutes:,} {agree} with the events.", highlight=False)
    if differences:
        raise typer.Exit(SummarizeExit.FAILED_OR_DIFFERENT)


def _describe_difference(each: "Difference") -> str:
    found = f"{format_count(each.events, 'event')}, {each.summarized:,} summarized"
    return f"{each.start:%Y-%m-%d %H:%M} UTC, {each.interval.value} s: {found}"


def _warn(text: str) -> None:
    err.print(Text(text, style="yellow"))
