"""``inferlog compare``: two model versions side by side, with a verdict."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url
from inferlog_ops.core.console import err, out, print_json
from inferlog_ops.core.home import Home, default_home

_MOMENT = "%Y-%m-%d %H:%M:%S UTC"


def compare(
    first: Annotated[str, typer.Argument(metavar="V1", help="The model version to compare with.")],
    second: Annotated[str, typer.Argument(metavar="V2", help="The one that is judged.")],
    *,
    last: Annotated[str | None, typer.Option(help="How far back: 90s, 15m, 12h, 7d. Default: 15m.")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="First moment, ISO 8601; UTC if it names no offset.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="First moment after the range. Default: now.")] = None,
    margin: Annotated[
        float,
        typer.Option(min=0, help="Differences up to this share of V1's figure count as none; not in the error rate."),
    ] = 0.05,
    fail_if_worse: Annotated[
        bool, typer.Option("--fail-if-worse", help="End with exit code 1 if V2 is worse, else with 0, also if too few.")
    ] = False,
    at_most: Annotated[
        int, typer.Option(min=1_000, help="Of a version with more requests, about so many are drawn at random.")
    ] = 500_000,
    seed: Annotated[int, typer.Option(min=0, help="Of all chance: the same one gives the same answer.")] = 1,
    json: Json = False,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """
    Say whether V2 is worse than V1, the same or better: latency, first token, errors, tokens per second, cost.

    Each difference stands with its 95 % interval: by bootstrap for percentiles, Newcombe's for the error rate, Welch's
    for the cost. Requests count as independent of each other: where they wait in one queue, it is too narrow.

    A figure is worse or better if 0 lies outside of the interval, and it differs by more than the margin. It is the
    same if no such difference has shown, and V2 cannot be worse by half; else there are too few requests.

    Over all, V2 is worse if any figure is, by intervals widened for their number; else too few, if the p99 of the
    latency or the error rate is; else better, if any figure is; else the same.
    """
    from inferlog_ops.core.cluster import cluster_from
    from inferlog_ops.core.progress import after_a_while, shown_progress
    from inferlog_ops.core.snapshot import Snapshot
    from inferlog_ops.core.streams import stream_name
    from inferlog_ops.engine.control import running_url
    from inferlog_ops.query.compare import report
    from inferlog_ops.query.compare.comparison import Verdict, compare
    from inferlog_ops.query.compare.fetch import Wanted, samples
    from inferlog_ops.query.compare.figures import Chance
    from inferlog_ops.query.run import future_events
    from inferlog_ops.query.timerange import time_range

    start, end = time_range(last=last, from_=from_, to=to, now=datetime.now(UTC))
    wanted = Wanted(model_versions=(first, second), start=start, end=end, at_most=at_most, seed=seed)
    engine_home = Home(home or default_home()).engine
    cluster = cluster_from(url, namespace, fallback_url=None if url else running_url(engine_home))
    with shown_progress() as say, Snapshot.of_events(cluster) as snapshot:
        both = samples(snapshot, wanted, after_a_while(say))
    future = future_events(cluster, [stream_name("events", namespace)], end) if to is None else None
    comparison = compare(*both, (end - start).total_seconds(), Chance(seed=seed), margin)
    if json:
        notes = [future.as_json()] if future else []
        print_json({"from": start, "to": end, "seed": seed, **report.as_json(comparison, *both), "notes": notes})
    else:
        out.print(f"{start:{_MOMENT}} to {end:{_MOMENT}}", highlight=False)
        out.print(report.as_table(comparison, *both))
        for sentence in report.sentences(comparison, *both):
            out.print(sentence, highlight=False, markup=False)
        if future:
            err.print(Text(future.text, style="yellow"))
    if fail_if_worse and comparison.verdict is Verdict.WORSE:
        raise typer.Exit(1)
