"""``inferlog ship``: carry log files to Elasticsearch."""

import stat
import sys
from pathlib import Path
from typing import Annotated

import typer

from inferlog_ops.cli.options import HomeDir, Json, Namespace
from inferlog_ops.ship.settings import Settings


def _replaceable(path: Path | None) -> Path | None:
    """
    Take a *path* at which there is nothing yet, or a file.

    Raises:
        BadParameter: If a file would take the place of a device or a pipe.
    """
    try:
        if path is not None and not stat.S_ISREG(path.stat().st_mode):
            raise typer.BadParameter(f"{str(path)!r} is no regular file.")
    except OSError:  # it is not there, or whoever writes it tells what is wrong
        pass
    return path


Logs = Annotated[
    Path | None,
    typer.Option("--from", help="Folder of log files, with all folders beneath it. Default: the home's logs."),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        "--url",
        envvar="ELASTICSEARCH_URL",
        help="Elasticsearch to ship to. Credentials: ELASTICSEARCH_API_KEY or "
        "ELASTICSEARCH_API_KEY_FILE, ELASTICSEARCH_CA_FILE. "
        "Default: the embedded engine of --home, if it runs.",
    ),
]
State = Annotated[
    Path | None,
    typer.Option("--state", help="The shipper's own directory: positions, dead letters. Default: the home's shipper."),
]
Once = Annotated[
    bool,
    typer.Option(
        "--once", help="Ship what is there now and end when all of it is searchable, instead of waiting for more."
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(min=0, help="Give up after so many seconds, with exit code 1. Default: keep trying for ever."),
]
Replay = Annotated[
    bool,
    typer.Option(
        "--replay",
        help="Should the positions be about another Elasticsearch, send this one every file from its beginning, but "
        "for what it has already. Without it such a store is refused with exit code 2, unless it is the home's own "
        "embedded engine.",
    ),
]
Heartbeat = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="How often a line about the shipper itself goes into the folder and into the health stream; 0: never. "
        "With --once there is only one, at the end.",
    ),
]
StatsFile = Annotated[
    Path | None,
    typer.Option(
        "--stats-file",
        dir_okay=False,
        callback=_replaceable,
        help="Keep this file up to date with the figures, as JSON.",
    ),
]


def ship(
    logs: Logs = None,
    to: To = None,
    state: State = None,
    once: Once = False,
    timeout: Timeout = None,
    replay: Replay = False,
    heartbeat: Heartbeat = Settings().heartbeat_seconds,
    stats_file: StatsFile = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """
    Carry log files to Elasticsearch: nothing is lost, and nothing is there twice.

    Files named events-*.jsonl, app-*.jsonl, health-*.jsonl and content-*.jsonl are read as they grow. A store that is
    down or refuses is tried again for ever; only lines that no store can take end up in dead_letters.jsonl in the
    state directory. SIGTERM or Ctrl-C ends it, with the positions saved.
    """
    from inferlog_ops.core.cluster import cluster_from
    from inferlog_ops.core.console import out, print_json
    from inferlog_ops.core.errors import OperatorError
    from inferlog_ops.core.home import Home, default_home
    from inferlog_ops.engine.control import running_url
    from inferlog_ops.ship.display import Display
    from inferlog_ops.ship.process import collect_garbage_seldom, stop_on_signals
    from inferlog_ops.ship.shipper import shipper

    place = Home(home or default_home())
    # Who names both uses nothing of the home, which may not even be readable.
    engine_url = None if to and state else running_url(place.engine)
    cluster = cluster_from(to, namespace, fallback_url=engine_url)
    folder = logs or place.logs
    if once and not folder.is_dir():
        raise OperatorError(f"there is no folder {folder} to ship from: give --from")
    display = Display(sys.stderr)
    with shipper(
        cluster=cluster,
        logs=folder,
        state_dir=state or place.shipper_state,
        display=display,
        settings=Settings(heartbeat_seconds=heartbeat),
        stats_file=stats_file,
        # The engine of a home is another one only if its data were deleted: the log files are all that there is.
        replay=replay or (state is None and cluster.url == engine_url),
    ) as ready:
        stop_on_signals(ready.stop)
        collect_garbage_seldom()
        outcome = ready.run(once=once, timeout_seconds=timeout)
    if json:
        print_json(outcome.status.as_json())
    elif once:
        out.print(outcome.status.as_line(), highlight=False, markup=False)
    if (once or outcome.timed_out) and not outcome.complete:
        ended = f"the {timeout:g} s given were over" if outcome.timed_out else "it was ended"
        raise OperatorError(f"not all was shipped before {ended}: {outcome.status.as_line()}")
    if outcome.unsearchable:
        raise OperatorError(f"all was shipped, but not all may be searchable yet: {outcome.unsearchable}")
