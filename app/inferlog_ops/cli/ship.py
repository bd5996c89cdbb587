"""The command ``inferlog ship``."""

import stat
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from inferlog_ops.cli.options import HomeDir, Json, Namespace
from inferlog_ops.ship.settings import ShipSettings


def _check_replaceable(path: Path | None) -> Path | None:
    """
    Accept a *path* that is missing or a regular file.

    Raises:
        BadParameter: If it is a device or a FIFO, which must not be replaced by a file.
    """
    try:
        if path is not None and not stat.S_ISREG(path.stat().st_mode):
            raise typer.BadParameter(f"{str(path)!r} is not a regular file.")
    except OSError:  # missing; all other errors are reported when the file is written
        pass
    return path


Logs = Annotated[
    Path | None,
    typer.Option("--from", help="Folder of log files, including subfolders. Default: the logs folder of --home."),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        "--url",
        envvar="ELASTICSEARCH_URL",
        help="Elasticsearch to ship to. Credentials: ELASTICSEARCH_API_KEY or "
        "ELASTICSEARCH_API_KEY_FILE, ELASTICSEARCH_CA_FILE. "
        "Default: the embedded engine of --home, if it is running.",
    ),
]
State = Annotated[
    Path | None,
    typer.Option(
        "--state", help="The shipper's own directory: offsets, dead letters. Default: the shipper folder of --home."
    ),
]
Once = Annotated[
    bool,
    typer.Option(
        "--once", help="Ship the existing lines and exit when all of them are searchable. Default: wait for more lines."
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(min=0, help="Seconds after which to give up with exit code 1. Default: retry forever."),
]
Drain = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="After SIGTERM or Ctrl-C, ship remaining lines for at most this time; for log folders deleted afterwards.",
    ),
]
Replay = Annotated[
    bool,
    typer.Option(
        "--replay",
        help="If the saved offsets belong to a different cluster, ship every file again from the start. Existing "
        "documents are skipped. Default: exit 2, except for the embedded engine of --home.",
    ),
]
HeartbeatInterval = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="Interval between health lines of the shipper itself, which it writes into the log folder and ships; "
        "0: never. With --once there is only one, at the end.",
    ),
]
StatsFile = Annotated[
    Path | None,
    typer.Option(
        "--stats-file",
        dir_okay=False,
        callback=_check_replaceable,
        help="File to keep up to date with the current status, as JSON.",
    ),
]


def ship(
    logs: Logs = None,
    to: To = None,
    state: State = None,
    once: Once = False,
    timeout: Timeout = None,
    drain: Drain = None,
    replay: Replay = False,
    heartbeat: HeartbeatInterval = ShipSettings().heartbeat_seconds,
    stats_file: StatsFile = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """
    Ship log files to Elasticsearch: no line is lost, and no document is stored twice.

    Reads files named events-*.jsonl, app-*.jsonl, health-*.jsonl and content-*.jsonl as they grow. Retries forever
    while Elasticsearch is down or refuses requests. Only lines that can never be stored go into dead_letters.jsonl in
    the state directory. SIGTERM or Ctrl-C saves the offsets and exits.
    """
    from inferlog_ops.core.cluster import resolve_cluster
    from inferlog_ops.core.console import out, print_json
    from inferlog_ops.core.errors import OperatorError
    from inferlog_ops.core.home import Home, find_default_home
    from inferlog_ops.engine.control import find_running_url
    from inferlog_ops.ship.shipper import collect_garbage_seldom, open_shipper, stop_on_signals
    from inferlog_ops.ship.status import Display

    own_home = Home(home or find_default_home())
    # With both options the home is not used, and may even be unreadable.
    engine_url = None if to and state else find_running_url(own_home.engine)
    cluster = resolve_cluster(to, namespace, fallback_url=engine_url)
    folder = logs or own_home.logs
    if once and not folder.is_dir():
        why = "is not a directory" if folder.exists() else "does not exist"
        raise OperatorError(f"the log folder {folder} {why}: give --from")
    open_with_options = partial(
        open_shipper,
        cluster=cluster,
        logs=folder,
        state_dir=state or own_home.shipper_state,
        settings=ShipSettings(heartbeat_seconds=heartbeat),
        stats_file=stats_file,
        # The embedded engine has another cluster uuid only if its data were deleted, so ship everything again.
        replay=replay or (state is None and cluster.url == engine_url),
    )
    collect_garbage_seldom()
    with open_with_options(display=Display(sys.stderr)) as shipper:
        stop_on_signals(shipper.stop)
        outcome = shipper.run(once=once, timeout_seconds=timeout)
    if drain and not once and not outcome.timed_out:
        once, timeout, earlier = True, drain, outcome.status
        with open_with_options(display=Display(sys.stderr)) as shipper:
            outcome = shipper.run(once=once, timeout_seconds=timeout)
        outcome = replace(outcome, status=outcome.status.add_totals(earlier))
    if json:
        print_json(outcome.status.as_json())
    elif once:
        out.print(outcome.status.as_line(), highlight=False, markup=False)
    if (once or outcome.timed_out) and not outcome.complete:
        end = f" before the timeout of {timeout:g} s" if outcome.timed_out else ""
        end = end or (" before the shipper was stopped" if outcome.stopped else "")
        raise OperatorError(f"some lines were not shipped{end}: {outcome.status.as_line()}")
    if outcome.why_unsearchable:
        raise OperatorError(f"all lines were shipped, but some may not be searchable yet: {outcome.why_unsearchable}")
