"""Elasticsearch of a single test, which may be killed and restarted."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

INFERLOG = (sys.executable, "-m", "inferlog_ops.cli.main")


@dataclass
class OwnEngine:
    """
    Engine with a constant port.

    Attributes:
        home: Directory of its data.
        inferlog: Command with ``engine start``.
        port: Its port, after the first start.
        pid: Its process id.
    """

    home: Path
    inferlog: Sequence[str] = INFERLOG
    port: int = 0
    pid: int = 0
    version: str = ""

    def start(self) -> None:
        started = self._run_command("start", "--port", str(self.port), "--json")
        self.pid, self.port = started["pid"], int(started["url"].rpartition(":")[2])
        self.version = started["version"]

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        self._run_command("stop", "--json")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def provision(self, namespace: str) -> None:
        """Create templates and streams, with the same command."""
        self._run("provision", "--url", self.url, "--namespace", namespace, "--json")

    def _run_command(self, *arguments: str) -> Any:
        return orjson.loads(self._run("engine", *arguments, "--home", str(self.home)))

    def _run(self, *arguments: str) -> bytes:
        done = subprocess.run([*self.inferlog, *arguments], capture_output=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout
