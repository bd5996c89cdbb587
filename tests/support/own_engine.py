"""An Elasticsearch of a test's own, which may be killed and started again."""

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
    An engine on a port that it keeps.

    Attributes:
        home: Where its data lie.
        inferlog: The command whose ``engine start`` starts it.
        port: Where it answers, once it was started.
        pid: Its process.
    """

    home: Path
    inferlog: Sequence[str] = INFERLOG
    port: int = 0
    pid: int = 0
    version: str = ""

    def start(self) -> None:
        started = self._command("start", "--port", str(self.port), "--json")
        self.pid, self.port = started["pid"], int(started["url"].rpartition(":")[2])
        self.version = started["version"]

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        self._command("stop", "--json")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def provision(self, namespace: str) -> None:
        """Give it templates and streams, by the same command."""
        self._run("provision", "--url", self.url, "--namespace", namespace, "--json")

    def _command(self, *arguments: str) -> Any:
        return orjson.loads(self._run("engine", *arguments, "--home", str(self.home)))

    def _run(self, *arguments: str) -> bytes:
        done = subprocess.run([*self.inferlog, *arguments], capture_output=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout
