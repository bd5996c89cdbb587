"""Locust with this project's locustfile, as a process of its own."""

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
class LocustRun:
    """A finished run: its exit code, its output and its records."""

    returncode: int
    output: str
    records: list[dict[str, Any]]

    @property
    def requests(self) -> int:
        """Number of requests in Locust's last table."""
        table = self.output.rpartition("Type ")[0]  # the table of times to the first token comes last
        return int(re.findall(r"Aggregated +(\d+) +\d+\(", table)[-1])

    def find_records(self, caller: str) -> list[dict[str, Any]]:
        """Return the records of one class of callers."""
        return [record for record in self.records if record["caller"] == caller]


@contextmanager
def begin(home: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start Locust in *home*, where it writes records.jsonl, and kill it at the end if it still runs."""
    # Started by its module, because the script is found only if the environment is on PATH.
    command = [sys.executable, "-P", "-m", "locust", "--locustfile", str(LOCUSTFILE), "--records", "records.jsonl"]
    # Settings of a developer for other runs of Locust do not apply here.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    process = subprocess.Popen(
        [*command, "--only-summary", *map(str, arguments)],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_enable_sigint,  # noqa: PLW1509 (sets a signal handler and nothing else)
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def finish(process: subprocess.Popen[str], home: Path, timeout_seconds: float = 90.0) -> LocustRun:
    """Wait for the end of the run and return its results."""
    output, _ = process.communicate(timeout=timeout_seconds)
    return LocustRun(process.returncode, output, read_records(home))


def run(home: Path, *arguments: object) -> LocustRun:
    """Run Locust to its end, without its web page."""
    with begin(home, "--headless", *arguments) as process:
        return finish(process, home)


def read_records(home: Path) -> list[dict[str, Any]]:
    """Return the records in *home*, ordered by the times at which the requests were due."""
    path = home / "records.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return sorted(map(json.loads, lines), key=lambda record: record["intended_at"])


def get_intended_at(record: dict[str, Any]) -> float:
    """Return the time at which the request was due, in seconds of Unix time."""
    return datetime.fromisoformat(record["intended_at"]).timestamp()


def _enable_sigint() -> None:
    # A shell starts background processes with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
