"""The container stack on a real Docker engine, in a project of its own beside a stack of this machine."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests import ROOT
from tests.support.polling import wait_until

# Read before a test removes settings from the environment, such as the limit of open files of this machine.
_OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("INFERLOG_")}
_PROJECT = "inferlog-trial"
_IMAGES = [f"inferlog-{name}:trial" for name in ("app", "setup", "fluentd", "traffic")]
_TIMEOUT_SECONDS = 900
_SENT = ("app", "docs", "dashboards", "fluentd", "infra", "kibana", "scripts")
_FILES = ("docker-compose.yml", ".env.example", ".dockerignore", "pyproject.toml", "README.md", "LICENSE")


@dataclass(frozen=True)
class Stack:
    """
    A checkout without a file .env, and the stack that docker compose starts from it.

    Attributes:
        root: The checkout.
        settings: Variables of the shell.
    """

    root: Path
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def copy(cls, root: Path, **settings: str) -> "Stack":
        """Copy the files that the stack is built from into *root*."""
        for name in _SENT:
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        for name in _FILES:
            shutil.copy(ROOT / name, root / name)
        return cls(root, settings)

    def run(
        self, *command: str, check: bool = True, settings: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run *command* in the checkout."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env={
                **_OUTSIDE,
                "COMPOSE_PROJECT_NAME": _PROJECT,
                "INFERLOG_VERSION": "trial",
                **self.settings,
                **(settings or {}),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done

    def compose(self, *arguments: str, **settings: str) -> str:
        """Run ``docker compose`` and return its output."""
        return self.run("docker", "compose", *arguments, settings=settings).stdout.strip()

    def up(self, *arguments: str, **settings: str) -> str:
        """Start the missing containers, and return when the last service has started."""
        return self.compose("up", "--detach", *arguments, **settings)

    def container(self, service: str) -> str:
        """Return the id of the container of *service*."""
        return self.compose("ps", "--all", "--quiet", service).splitlines()[0]

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what the engine knows about the container of *service*."""
        (known,) = json.loads(self.run("docker", "inspect", self.container(service)).stdout)
        return dict(known)

    def kill(self, *services: str) -> None:
        """Send SIGKILL to the first process of each of *services*, all at once."""
        self.run("docker", "kill", *map(self.container, services))

    def start(self, *services: str) -> None:
        """Start the containers of *services* again; a killed container does not start by itself."""
        self.run("docker", "start", *map(self.container, services))

    def secret(self, path: str) -> str:
        """Return the content of *path* in a volume of the set-up."""
        return self.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "cat", "provision", path)

    def exit_code(self, service: str) -> int:
        """Wait for the end of a one-shot *service* and return its exit code."""
        return int(self.run("docker", "wait", self.container(service)).stdout)

    @contextmanager
    def traffic(self, *, rate: float, seconds: int) -> Iterator["Traffic"]:
        """Send requests during the block, and end when the last one is answered."""
        name = f"{_PROJECT}-{uuid4().hex[:8]}"
        traffic = Traffic(self, name, seconds)
        command = ("run", "--detach", "--name", name, "traffic", "--headless", "--only-summary")
        options = ("--rate", str(rate), "--duration", f"{seconds}s", "--run-id", name, "--exit-code-on-error", "0")
        self.compose("--profile", "traffic", *command, *options, f"--records=/records/{name}.jsonl")
        try:
            wait_until(traffic.count, 120, "the first request")
            yield traffic
            self.run("docker", "wait", name)
            self.run("docker", "cp", f"{name}:/records/{name}.jsonl", str(traffic.records))
        finally:
            self.run("docker", "rm", "--force", name)

    def reconcile(self, records: Path) -> dict[str, Any]:
        """Compare *records* with the events, by the command that operators use."""
        ca_file = self.root / "ca.crt"
        ca_file.write_text(self.secret("/certificates/ca.crt"))
        port = self.compose("port", "elasticsearch", "9200").rpartition(":")[2]
        done = self.run(
            *(sys.executable, "-m", "inferlog_ops.cli.main", "reconcile", str(records), "--json"),
            *("--run-id", records.stem, "--wait-seconds", "300", "--url", f"https://localhost:{port}"),
            check=False,
            settings={
                "ELASTICSEARCH_API_KEY": self.secret("/secrets/operator/elasticsearch_api_key"),
                "ELASTICSEARCH_CA_FILE": str(ca_file),
            },
        )
        assert done.stdout.startswith("{"), done.stderr
        return dict(json.loads(done.stdout))

    def assert_nothing_lost(self, traffic: "Traffic") -> dict[str, Any]:
        """Check that each answered request has exactly one event."""
        found = self.reconcile(traffic.records)
        faults = {name: found[name] for name in ("lost", "duplicated", "events_without_request")}
        assert faults == dict.fromkeys(faults, 0), found
        sys.stderr.write(f"{found['sent']} requests, {found['with_event']} events, {found['outcomes']}\n")
        return found

    def logs(self, service: str, *options: str) -> str:
        """Return the output of *service*."""
        return self.compose("logs", "--no-color", "--no-log-prefix", *options, service)

    def remove(self) -> None:
        """Stop the stack and delete its data and its images: `up` builds no image that exists."""
        self.run("docker", "compose", "--profile", "*", "down", "--volumes", "--timeout", "5")
        self.run("docker", "image", "rm", "--force", *_IMAGES, check=False)

    def running(self, services: Sequence[str]) -> set[str]:
        """Return those of *services* that run and have no failed health check."""
        states = {service: self.inspect(service)["State"] for service in services}
        return {
            service
            for service, state in states.items()
            if state["Running"] and state.get("Health", {}).get("Status", "healthy") == "healthy"
        }


@dataclass(frozen=True)
class Traffic:
    """
    Requests that are being sent.

    Attributes:
        stack: The stack that gets them.
        name: Name of the container, and prefix of the correlation ids.
        seconds: Duration.
    """

    stack: Stack
    name: str
    seconds: int

    @property
    def records(self) -> Path:
        """Copy of the file of records, after the end."""
        return self.stack.root / f"{self.name}.jsonl"

    def count(self) -> int:
        """Return how many requests have ended so far."""
        command = ("docker", "exec", self.name, "python", "-c")
        file = f"/records/{self.name}.jsonl"
        program = (
            f"from pathlib import Path; p = Path({file!r}); print(p.read_text().count(chr(10)) if p.exists() else 0)"
        )
        done = self.stack.run(*command, program, check=False)
        return int(done.stdout or 0) if done.returncode == 0 else 0

    def wait_for(self, count: int) -> None:
        """Return when *count* more requests have ended."""
        before = self.count()
        wait_until(lambda: self.count() >= before + count, 120, f"{count} more requests")


def is_engine_there() -> bool:
    """Return whether a Docker engine answers."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0
