"""``inferlog engine``: the embedded Elasticsearch."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from inferlog_ops.commands.options import HomeDir, Json
from inferlog_ops.console import err, out, print_json
from inferlog_ops.home import Home, default_home

app = typer.Typer(help="The embedded Elasticsearch: start, stop, status, prune.", no_args_is_help=True)

NOT_RUNNING = 3


@app.command()
def start(
    home: HomeDir = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes any free one.")] = 0,
    heap: Annotated[str, typer.Option(envvar="INFERLOG_ENGINE_HEAP", help="Most memory for Java objects.")] = "1g",
    json: Json = False,
) -> None:
    """Start the engine and return when it answers. It goes on running until ``engine stop``."""
    from inferlog_ops.engine import control

    if os.environ.get("ELASTICSEARCH_URL"):
        _tell_of_cluster_in_use(json=json)
        return
    with _progress() as say:
        engine = control.start(_engine_home(home), port, say, heap=heap)
    if json:
        print_json({"url": engine.url, "pid": engine.pid, "version": engine.version})
    else:
        out.print(f"Elasticsearch {engine.version} answers at {engine.url} (pid {engine.pid})", highlight=False)


@app.command()
def stop(home: HomeDir = None, json: Json = False) -> None:
    """Stop the engine. Its data stays; stopping a stopped one is no error."""
    from inferlog_ops.engine import control

    with _progress() as say:
        stopped = control.stop(_engine_home(home), say)
    if json:
        print_json({"stopped": stopped})
    else:
        out.print("stopped" if stopped else "not running")


@app.command()
def status(home: HomeDir = None, json: Json = False) -> None:
    """Say whether the engine runs, where it answers, what it holds. Exit code 0: running, 3: not running."""
    from inferlog_ops.engine import control, disk
    from inferlog_ops.engine.contents import stored_documents

    engine_home = _engine_home(home)
    seen = control.status(engine_home)
    engine = seen.engine
    uptime_seconds = round((datetime.now(UTC) - engine.started).total_seconds()) if engine else None
    facts = {
        "running": engine is not None,
        "starting": seen.starting,
        "url": engine and engine.url,
        "pid": engine and engine.pid,
        "version": engine and engine.version,
        "uptime_seconds": uptime_seconds,
        "documents": stored_documents(engine.url) if engine else None,
        "home": str(engine_home.parent),
        "size_bytes": disk.used_bytes(engine_home.parent),
        "engine_bytes": seen.size_bytes,
    }
    if json:
        print_json(facts)
    else:
        state = "running" if engine else "starting" if seen.starting else "not running"
        out.print(f"engine      {state}", highlight=False)
        if engine:
            out.print(f"url         {engine.url}", highlight=False)
            out.print(f"pid         {engine.pid}", highlight=False)
            out.print(f"version     {engine.version}", highlight=False)
            out.print(f"uptime      {timedelta(seconds=uptime_seconds or 0)}", highlight=False)
            out.print(f"documents   {facts['documents']}", highlight=False)
        out.print(f"home        {engine_home.parent}", highlight=False)
        out.print(f"on disk     {disk.readable(disk.used_bytes(engine_home.parent))}", highlight=False)
    if not engine:
        raise typer.Exit(NOT_RUNNING)


def _engine_home(home: Path | None) -> Path:
    return Home((home or default_home()).absolute()).engine


def _tell_of_cluster_in_use(*, json: bool) -> None:
    from inferlog_ops.cluster import cluster_from, explained
    from inferlog_ops.engine.contents import cluster_version

    cluster = cluster_from(None, "default")
    with explained(cluster, "asking for the cluster's version"):
        version = cluster_version(cluster)
    if json:
        print_json({"url": cluster.shown_url, "pid": None, "version": version})
    else:
        out.print(
            f"ELASTICSEARCH_URL names {cluster.shown_url} (Elasticsearch {version}): "
            "it is used, and no engine is started",
            highlight=False,
        )


@contextmanager
def _progress() -> Generator[Callable[[str], None]]:
    """Give a function that shows what is being waited for: in place on a terminal, line by line elsewhere."""
    if not err.is_terminal:
        yield lambda text: err.print(text, highlight=False, markup=False)
        return
    with err.status("") as line:
        yield line.update
