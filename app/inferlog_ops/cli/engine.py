"""``inferlog engine``: the embedded Elasticsearch."""

import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from inferlog_ops.cli.options import HomeDir, Json
from inferlog_ops.core.console import format_bytes, out, print_json
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home, find_default_home
from inferlog_ops.core.progress import show_progress
from inferlog_ops.engine.launch import DEFAULT_HEAP

app = typer.Typer(help="The embedded Elasticsearch: start, stop, status, prune.", no_args_is_help=True)

_NOT_RUNNING = 3
_PRUNE_TIMEOUT_SECONDS = 600.0


@app.command()
def start(
    home: HomeDir = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 = any free port.")] = 0,
    heap: Annotated[
        str, typer.Option(envvar="INFERLOG_ENGINE_HEAP", help="Maximum Java heap, such as 512m or 1g.")
    ] = DEFAULT_HEAP,
    json: Json = False,
) -> None:
    """
    Start the engine and print its address as soon as it answers. It runs in the background until it is stopped.

    If an engine is already running on this home, print its address; exit code 0.
    """
    from inferlog_ops.engine import control

    if os.environ.get("ELASTICSEARCH_URL"):
        _print_configured_cluster(json=json)
        return
    with show_progress() as report:
        engine = control.ensure_running(_find_engine_home(home), port, report, heap=heap)
    if json:
        print_json({"url": engine.url, "pid": engine.pid, "version": engine.version})
    else:
        _print(f"Elasticsearch {engine.version} answers at {engine.url} (pid {engine.pid})")


@app.command()
def stop(home: HomeDir = None, json: Json = False) -> None:
    """Stop the engine and keep its data. Exit code 0 also if it is not running."""
    from inferlog_ops.engine import control

    with show_progress() as report:
        stopped = control.stop(_find_engine_home(home), report)
    if json:
        print_json({"stopped": stopped})
    else:
        _print("stopped" if stopped else "not running")


@app.command()
def status(home: HomeDir = None, json: Json = False) -> None:
    """Show whether the engine is running, its address and its size. Exit code: 0 = running, 3 = not running."""
    facts = _read_status(_find_engine_home(home))
    if json:
        print_json(facts)
    else:
        _print_status(facts)
    if not facts["running"]:
        raise typer.Exit(_NOT_RUNNING)


@app.command()
def prune(
    older_than: Annotated[str, typer.Option(help="Minimum age of the events to remove: 7d, 12h, 2w.")],
    home: HomeDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the events that would be removed.")] = False,
    json: Json = False,
) -> None:
    """Remove old events from the running engine, in every namespace, and free their disk space."""
    from inferlog_ops.core.cluster import Cluster, translate_errors
    from inferlog_ops.core.durations import parse_duration
    from inferlog_ops.engine import control
    from inferlog_ops.engine.prune import STREAMS, measure_bytes, prune, reclaim

    before = datetime.now(UTC) - parse_duration(older_than)
    if (url := control.find_running_url(_find_engine_home(home))) is None:
        raise OperatorError("the engine is not running; start it before pruning: inferlog engine start")
    cluster = Cluster(url=url)
    with (
        translate_errors(cluster, "removing old events"),
        cluster.build_client(request_timeout_seconds=_PRUNE_TIMEOUT_SECONDS) as client,
        show_progress() as report,
    ):
        bytes_before = measure_bytes(client, STREAMS)
        pruned = prune(client, before, report, dry_run=dry_run)
        thinned = [] if dry_run else [index for stream in pruned for index in stream.thinned_indices]
        reclaimed = reclaim(client, thinned, report)
        freed_bytes = bytes_before - measure_bytes(client, STREAMS)
    facts = {
        "before": before.isoformat(),
        "dry_run": dry_run,
        "documents": sum(stream.documents for stream in pruned),
        "freed_bytes": freed_bytes,
        "reclaimed": reclaimed,
        "streams": [asdict(stream) for stream in pruned],
    }
    if json:
        print_json(facts)
    else:
        _print_pruned(facts)


def _find_engine_home(home: Path | None) -> Path:
    return Home((home or find_default_home()).absolute()).engine


def _print_configured_cluster(*, json: bool) -> None:
    from inferlog_ops.core.cluster import resolve_cluster, translate_errors
    from inferlog_ops.engine.contents import read_version

    cluster = resolve_cluster(None, "default")
    with translate_errors(cluster, "asking for the cluster's version"):
        version = read_version(cluster)
    if json:
        print_json({"url": cluster.shown_url, "pid": None, "version": version})
    else:
        _print(f"ELASTICSEARCH_URL is set: using {cluster.shown_url} (Elasticsearch {version}); no engine was started")


def _read_status(engine_home: Path) -> dict[str, Any]:
    from inferlog_ops.engine import control, disk
    from inferlog_ops.engine.contents import count_documents

    seen = control.read_status(engine_home)
    facts: dict[str, Any] = {"running": seen.engine is not None, "changing": seen.changing}
    if engine := seen.engine:
        facts |= {
            "url": engine.url,
            "pid": engine.pid,
            "version": engine.version,
            "uptime_seconds": round((datetime.now(UTC) - engine.started).total_seconds()),
            "documents": count_documents(engine.url),
        }
    return facts | {
        "home": str(engine_home.parent),
        "home_bytes": disk.measure_usage(engine_home.parent),
        "engine_bytes": seen.size_bytes,
    }


def _print_status(facts: dict[str, Any]) -> None:
    state = "running" if facts["running"] else "starting or stopping" if facts["changing"] else "not running"
    _print(f"engine     {state}")
    if facts["running"]:
        documents = "no answer" if facts["documents"] is None else f"{facts['documents']:,}"
        _print(f"url        {facts['url']}")
        _print(f"pid        {facts['pid']}")
        _print(f"version    Elasticsearch {facts['version']}")
        _print(f"uptime     {timedelta(seconds=facts['uptime_seconds'])}")
        _print(f"documents  {documents}")
    _print(f"home       {facts['home']}")
    _print(f"on disk    {format_bytes(facts['home_bytes'])}, of which the engine {format_bytes(facts['engine_bytes'])}")


def _print_pruned(facts: dict[str, Any]) -> None:
    would = "would be " if facts["dry_run"] else ""
    for stream in facts["streams"]:
        whole = len(stream["deleted_indices"])
        _print(f"{stream['stream']}: {stream['documents']:,} events {would}removed ({whole} whole indices)")
    _print(f"{facts['documents']:,} events from before {facts['before']} {would}removed")
    if not facts["dry_run"]:
        _print(f"{format_bytes(max(facts['freed_bytes'], 0))} freed")
        if not facts["reclaimed"]:
            _print("the engine frees the remaining disk space later")


def _print(text: str) -> None:
    out.print(text, highlight=False, markup=False)
