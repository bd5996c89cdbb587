"""``inferlog compare``: compares two model versions and prints a verdict."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url, open_cluster
from inferlog_ops.core.console import err, out, print_json


def compare(
    first: Annotated[str, typer.Argument(metavar="V1", help="Baseline model version.")],
    second: Annotated[str, typer.Argument(metavar="V2", help="Model version to judge.")],
    *,
    last: Annotated[str | None, typer.Option(help="Length of the range: 90s, 15m, 12h, 7d. Default: 15m.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Start of the range, ISO 8601, UTC if no offset.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="End of the range, exclusive. Default: now.")] = None,
    margin: Annotated[
        float,
        typer.Option(min=0, help="Ignore differences up to this share of V1's figure, except in the error rate."),
    ] = 0.05,
    fail_if_worse: Annotated[
        bool,
        typer.Option(
            "--fail-if-worse", help="Exit with 1 if V2 is worse, otherwise with 0, even if there are too few requests."
        ),
    ] = False,
    at_most: Annotated[
        int, typer.Option(min=1_000, help="Sample about this many requests of a version that has more.")
    ] = 500_000,
    seed: Annotated[int, typer.Option(min=0, help="Random seed; the same seed gives the same result.")] = 1,
    json: Json = False,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """
    Judge whether V2 is worse than V1, the same or better: latency, first token, errors, tokens per second, cost.

    Each difference has a 95 % confidence interval: bootstrap for percentiles, Newcombe for the error rate, Welch for
    the cost. Requests are treated as independent; for requests that wait in one queue, the interval is too narrow.

    A figure is worse or better if its interval excludes 0 and the difference exceeds the margin. It is the same if
    there is no such difference and V2 cannot be worse by half. Otherwise there are too few requests.

    Overall, V2 is worse if any figure is worse, with intervals widened for the number of figures. Otherwise too few
    requests, if the latency p99 or the error rate has too few. Otherwise better, if any figure is; otherwise the same.
    """
    from inferlog_ops.core.progress import delay_progress, show_progress
    from inferlog_ops.core.snapshot import Snapshot
    from inferlog_ops.core.streams import build_stream_name
    from inferlog_ops.query.compare import comparison_report
    from inferlog_ops.query.compare.comparison import Verdict, compare_samples
    from inferlog_ops.query.compare.figures import Resampling
    from inferlog_ops.query.compare.samples import CompareSettings, fetch_samples
    from inferlog_ops.query.run import find_future_events
    from inferlog_ops.query.timerange import build_time_range, format_utc

    start, end = build_time_range(last=last, from_=from_, to=to, now=datetime.now(UTC))
    settings = CompareSettings(model_versions=(first, second), start=start, end=end, at_most=at_most, seed=seed)
    cluster = open_cluster(url, namespace, home)
    future = find_future_events(cluster, [build_stream_name("events", namespace)], end) if to is None else None
    with show_progress() as report, Snapshot.open_events(cluster) as snapshot:
        both = fetch_samples(snapshot, settings, delay_progress(report), future)
    comparison = compare_samples(*both, (end - start).total_seconds(), Resampling(seed=seed), margin)
    if json:
        notes = [future.as_json()] if future else []
        print_json(
            {"from": start, "to": end, "seed": seed, **comparison_report.as_json(comparison, *both), "notes": notes}
        )
    else:
        out.print(f"{format_utc(start)} to {format_utc(end)}", highlight=False)
        out.print(comparison_report.as_table(comparison, *both))
        for sentence in comparison_report.list_findings(comparison, *both):
            out.print(sentence, highlight=False, markup=False)
        if future:
            err.print(Text(future.text, style="yellow"))
    if fail_if_worse and comparison.verdict is Verdict.WORSE:
        raise typer.Exit(1)
