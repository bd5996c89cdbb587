"""
Ship lines to a real Elasticsearch with a real Fluentd while both are killed, and print their account.

    .venv/bin/python -m tests.fluentd.verify
    .venv/bin/python -m tests.fluentd.verify --buffer-volume 32
    .venv/bin/python -m tests.fluentd.verify --major 9 --inferlog /path/to/another/inferlog

Requires `fluentd` on PATH, with fluent-plugin-elasticsearch and the gem elasticsearch of the same major version as
Elasticsearch: 8 for the embedded engine. --inferlog takes another command with `engine start`, `engine stop` and
`provision` for another Elasticsearch. Exits with 1 if a line is lost, duplicated or astray.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.fluentd.process import Fluentd, is_installed
from tests.fluentd.trial import FluentdTrialResult, TrialPlan, run_trial
from tests.support.own_engine import INFERLOG, OwnEngine

_HEADINGS = (
    "Elasticsearch",
    "buffer volume",
    "written",
    "found",
    "dead-lettered",
    "lost",
    "duplicates",
    "astray",
    "letters written again",
    "files left",
    "seconds",
)


def main() -> int:
    options = _parse_options()
    if not is_installed():
        sys.exit("fluentd is not installed")
    plan = TrialPlan(
        count=options.events,
        seconds=options.seconds,
        kills=options.kills,
        outage_seconds=options.outage,
        malformed_share=options.malformed,
        refused_share=options.refused,
        seed=options.seed,
    )
    with ExitStack() as resources:
        root = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="inferlog-fluentd-")))
        engine = OwnEngine(root / "home", inferlog=shlex.split(options.inferlog))
        engine.start()
        resources.callback(engine.stop)
        engine.provision("verify")
        settings = {}
        if options.buffer_volume:
            resources.enter_context(_mount_volume(root / "state", options.buffer_volume))
            settings["INFERLOG_FLUENTD_TOTAL_LIMIT_SIZE"] = f"{options.buffer_volume // 2}m"
        fluentd = Fluentd(root, url=engine.url, major=options.major, namespace="verify", settings=settings)
        result = run_trial(plan, engine=engine, fluentd=fluentd, say=_say)
        if options.log:
            options.log.write_bytes(fluentd.log.read_bytes())
    _print(result, engine.version, options.buffer_volume)
    return 1 if result.lost or result.astray or result.duplicates or result.files_left else 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000, help="lines to write; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=200.0, help="duration of writing; default: %(default)s")
    parser.add_argument("--kills", type=int, default=5, help="kill -9 of Fluentd; default: %(default)s")
    parser.add_argument(
        "--outage", type=float, default=120.0, help="seconds without Elasticsearch; default: %(default)s"
    )
    parser.add_argument("--malformed", type=float, default=0.01, help="share of malformed lines; default: %(default)s")
    parser.add_argument("--refused", type=float, default=0.01, help="share of refused lines; default: %(default)s")
    parser.add_argument(
        "--buffer-volume",
        type=int,
        metavar="MIB",
        help="put Fluentd's state on a volume of this size, its buffer limited to half of it; needs root",
    )
    parser.add_argument("--major", type=int, default=8, help="major version of Elasticsearch; default: %(default)s")
    parser.add_argument("--inferlog", default=shlex.join(INFERLOG), help="command that starts Elasticsearch")
    parser.add_argument("--seed", type=int, default=1, help="random seed; default: %(default)s")
    parser.add_argument("--log", type=Path, help="file for Fluentd's log")
    return parser.parse_args()


@contextmanager
def _mount_volume(path: Path, size_mib: int) -> Iterator[None]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def _print(result: FluentdTrialResult, version: str, buffer_volume: int | None) -> None:
    cells = (
        version,
        f"{buffer_volume} MiB" if buffer_volume else "ample",
        result.written,
        result.found,
        result.dead_lettered,
        len(result.lost),
        len(result.duplicates),
        len(result.astray),
        result.letters_again,
        len(result.files_left),
        round(result.seconds),
    )
    for row in (_HEADINGS, ["---"] * len(_HEADINGS), cells):
        sys.stdout.write("| " + " | ".join(map(str, row)) + " |\n")
    for name in ("lost", "duplicates", "astray", "files_left"):
        if found := getattr(result, name):
            sys.stdout.write(f"{name}: {', '.join(found[:20])}\n")


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


if __name__ == "__main__":
    # As for every test, ignore settings of the shell about a cluster.
    for variable in [name for name in os.environ if name.startswith(("ELASTICSEARCH_", "INFERLOG_"))]:
        del os.environ[variable]
    sys.exit(main())
