"""Real Fluentd with the committed configuration, if installed."""

import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.polling import wait_until

_FOLDER = Path(__file__).parents[2] / "fluentd"
_STARTING = b"starting fluentd worker"
_RUNNING = b"fluentd worker is now running"


def is_installed() -> bool:
    return shutil.which("fluentd") is not None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Fluentd:
    """
    Fluentd process that may be killed and restarted: all its state is on the disk.

    Attributes:
        root: Parent folder of its state and the log files.
        url: Address of Elasticsearch.
        major: Major version of Elasticsearch.
        namespace: Last part of the streams' names.
        settings: Additional environment variables.
        monitor_port: Port of its monitor.
    """

    root: Path
    url: str
    major: int
    namespace: str
    settings: dict[str, str] = field(default_factory=dict)
    monitor_port: int = field(default_factory=_free_port)
    _process: "subprocess.Popen[bytes] | None" = None
    _said_before: int = 0

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def log(self) -> Path:
        """Its output, including previous runs."""
        return self.root / "fluentd.log"

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it without waiting."""
        assert self._process is None
        self.logs.mkdir(parents=True, exist_ok=True)
        self._said_before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            # Without its supervisor, which would restart it.
            command = ["fluentd", "--no-supervisor", "-c", str(_FOLDER / "fluent.conf"), "-p", str(_FOLDER / "plugins")]
            self._process = subprocess.Popen(command, env=self._build_environment(), stdout=log, stderr=log)

    def wait_until_starting(self) -> None:
        """Return when its plugins start. With a full buffer, the first plugin blocks here."""
        self._wait_until_said(_STARTING)

    def wait_until_running(self) -> None:
        """Return when all plugins run."""
        self._wait_until_said(_RUNNING)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._end(signal.SIGKILL)

    def kill_if_alive(self) -> None:
        """Kill it if a test left it running."""
        if self.is_alive:
            self.kill()

    def stop(self) -> None:
        """Send SIGTERM, as Docker does."""
        self._end(signal.SIGTERM)

    def read_dead_letters(self, stream: str) -> list[bytes]:
        """Return each line in the dead letter files of *stream*."""
        paths = sorted((self.state / "dead_letters").glob(f"inferlog.{stream}.*.log"))
        return [line for path in paths for line in path.read_bytes().splitlines()]

    def _wait_until_said(self, words: bytes) -> None:
        wait_until(lambda: words in self._read_output() or not self.is_alive, 120.0, f"{words.decode()} from Fluentd")
        assert self.is_alive, self._read_output().decode()

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        assert self._process.poll() is None, f"Fluentd has ended unexpectedly: {self._read_output().decode()}"
        self._process.send_signal(how)
        self._process.wait(timeout=90)
        self._process = None

    def _read_output(self) -> bytes:
        return self.log.read_bytes()[self._said_before :]

    def _build_environment(self) -> dict[str, str]:
        return os.environ | {
            "ELASTICSEARCH_URL": self.url,
            "ELASTICSEARCH_MAJOR_VERSION": str(self.major),
            "INFERLOG_NAMESPACE": self.namespace,
            "INFERLOG_LOG_DIR": str(self.logs),
            "INFERLOG_FLUENTD_STATE": str(self.state),
            "INFERLOG_FLUENTD_MONITOR_PORT": str(self.monitor_port),
            **self.settings,
        }
