"""Locust with this project's locustfile, as people run it: a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

LOCUSTFILE = Path(__file__).resolve().parents[2] / "scripts" / "traffic" / "locustfile.py"


@dataclass(frozen=True)
class Run:
    """What is left of a run."""

    returncode: int
    said: str
    records: list[dict[str, Any]]

    @property
    def requests(self) -> int:
        """How many requests Locust's last table counts."""
        table = self.said.rpartition("Type ")[0]  # behind it comes the table of times to the first token
        return int(re.findall(r"Aggregated +(\d+) +\d+\(", table)[-1])

    def of(self, caller: str) -> list[dict[str, Any]]:
        """Return the records of one class of callers."""
        return [record for record in self.records if record["caller"] == caller]


@contextmanager
def begin(home: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start Locust in *home*, to write there its records.jsonl; kill it at the end if it is still there."""
    # By its module: the script beside Python is found only where the environment is on PATH.
    command = [sys.executable, "-P", "-m", "locust", "--locustfile", str(LOCUSTFILE), "--records", "records.jsonl"]
    # What a developer has set for other runs of Locust is not for these.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    process = subprocess.Popen(
        [*command, "--only-summary", *map(str, arguments)],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_with_ctrl_c,  # noqa: PLW1509 (sets a signal's handler and nothing else)
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def finish(process: subprocess.Popen[str], home: Path, timeout_seconds: float = 90.0) -> Run:
    """Wait for the end and return what is left."""
    said, _ = process.communicate(timeout=timeout_seconds)
    return Run(process.returncode, said, read_records(home))


def run(home: Path, *arguments: object) -> Run:
    """Run Locust to its end, without its page."""
    with begin(home, "--headless", *arguments) as process:
        return finish(process, home)


def read_records(home: Path) -> list[dict[str, Any]]:
    """Return the records in *home* in the order of the requests' moments."""
    path = home / "records.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return sorted(map(json.loads, lines), key=lambda record: record["intended_at"])


def intended_at(record: dict[str, Any]) -> float:
    """Return when the request was due, in seconds of Unix time."""
    return datetime.fromisoformat(record["intended_at"]).timestamp()


def _with_ctrl_c() -> None:
    # A shell starts what runs in its background with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
