"""The container stack on a real Docker engine, in a project of its own beside a stack of this machine."""

import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography import x509
from elasticsearch import ApiError, Elasticsearch

from inferlog_ops.core.cluster import Cluster
from tests import ROOT
from tests.support.polling import wait_until
from tests.support.reconciling import read_result

# Read before a test removes settings from the environment, such as the limit of open files of this machine.
_OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("INFERLOG_")}
PROJECT = "inferlog-trial"
_IMAGES = [f"inferlog-{name}:trial" for name in ("app", "setup", "fluentd", "traffic")]
_TIMEOUT_SECONDS = 900
_LABEL = "com.docker.compose.project"
EVENTS = "logs-inference.events-default"
LOGS = "/var/log/inferlog"
_INSTANCE = "service.instance.id"
LONG_RUNNING = ("elasticsearch", "kibana", "fluentd", "app")
_SENT = ("app", "docs", "dashboards", "fluentd", "infra", "kibana", "scripts")
_RECORD = f"""
import sys, inferlog
inferlog.configure(service_name=sys.argv[1], log_dir={LOGS!r})
for _ in range(int(sys.argv[2])):
    inferlog.record_inference(model_version="v1", latency_seconds=0.1, status="success", output_tokens=40)
"""
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
        """Return a new checkout in *root*: the files that the stack is built from."""
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
                "COMPOSE_PROJECT_NAME": PROJECT,
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

    def bring_up(self, *arguments: str, **settings: str) -> str:
        """Start the missing containers, and return when the last service has started."""
        return self.compose("up", "--detach", *arguments, **settings)

    def find_container(self, service: str) -> str:
        """Return the id of the container of *service*."""
        return self.compose("ps", "--all", "--quiet", service).splitlines()[0]

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what the engine knows about the container of *service*."""
        (known,) = json.loads(self.run("docker", "inspect", self.find_container(service)).stdout)
        return dict(known)

    def kill(self, *services: str) -> None:
        """Send SIGKILL to the first process of each of *services*, all at once."""
        self.run("docker", "kill", *map(self.find_container, services))

    def start(self, *services: str) -> None:
        """Start the containers of *services* again; a killed container does not start by itself."""
        self.run("docker", "start", *map(self.find_container, services))

    def read_secret(self, path: str) -> str:
        """Return the content of *path* in a volume of the set-up."""
        return self.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "cat", "provision", path)

    def wait_for_exit(self, service: str) -> int:
        """Wait for the end of a one-shot *service* and return its exit code."""
        return int(self.run("docker", "wait", self.find_container(service)).stdout)

    @contextmanager
    def send_traffic(self, *, rate: float, seconds: int) -> Iterator["Traffic"]:
        """Send requests during the block, and end when the last one is answered."""
        name = f"{PROJECT}-{uuid4().hex[:8]}"
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

    def record_events(self, service: str, count: int) -> None:
        """Write *count* events of a batch job named *service* into the volume of log files."""
        self.compose("exec", "-T", "app", "python", "-c", _RECORD, service, str(count))

    @contextmanager
    def mount_small_volume(self, volume: str, path: str, *, mebibytes: int, **settings: str) -> Iterator["Stack"]:
        """Yield the stack with the directory *path* on a *volume* of this size, and with *settings* changed."""
        name = f"{PROJECT}-small-{volume}"
        options = ("type=tmpfs", "device=tmpfs", f"o=size={mebibytes}m,uid=1000,gid=0,mode=2775")
        override = self.root / f"{name}.yml"
        override.write_text(f"volumes: {{{volume}: {{name: {name}, external: true}}}}\n")
        self.run("docker", "volume", "create", *(f"--opt={option}" for option in options), name)
        # A volume in memory is empty again once no container has it mounted.
        holder = ("--detach", "--name", name, "--volume", f"{name}:{path}", "--entrypoint", "sleep")
        self.run("docker", "run", *holder, "inferlog-setup:trial", "infinity")
        small = self.change(COMPOSE_FILE=f"docker-compose.yml:{override.name}", **settings)
        try:
            small.bring_up()
            small.wait_until_complete()
            yield small
        finally:
            self.bring_up()
            self.run("docker", "rm", "--force", name)
            self.run("docker", "volume", "rm", name)
            self.wait_until_complete()

    def change(self, **settings: str) -> "Stack":
        """Return the same checkout with *settings* changed."""
        return replace(self, settings={**self.settings, **settings})

    def derive_project(self, name: str, **settings: str) -> "Stack":
        """Return the same checkout as the project *name* beside this one."""
        return self.change(COMPOSE_PROJECT_NAME=f"{PROJECT}-{name}", **settings)

    def list_owned(self, kind: str) -> set[str]:
        """Return the ids of the project's objects of *kind*: ``container``, ``network`` or ``volume``."""
        every = ("--all",) if kind == "container" else ()
        project = self.settings.get("COMPOSE_PROJECT_NAME", PROJECT)
        return set(
            self.run("docker", kind, "ls", *every, "--quiet", "--filter", f"label={_LABEL}={project}").stdout.split()
        )

    @property
    def ca_file(self) -> Path:
        """Copy of the authority's certificate."""
        copy = self.root / "ca.crt"
        copy.write_text(self.read_secret("/certificates/ca.crt"))
        return copy

    def read_certificate_end(self, port: int) -> datetime:
        """Return when the certificate of the server on *port* ends; it must be from the authority of this stack."""
        pem = ssl.get_server_certificate(("localhost", port), ca_certs=str(self.ca_file))
        return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc

    @property
    def superuser(self) -> Cluster:
        """Elasticsearch with the password of its superuser."""
        password = self.read_secret("/secrets/elasticsearch/elastic_password")
        return Cluster(url=self._url, user_and_password=("elastic", password), ca_file=str(self.ca_file))

    @property
    def _url(self) -> str:
        return f"https://localhost:{self.compose('port', 'elasticsearch', '9200').rpartition(':')[2]}"

    def run_inferlog(self, *arguments: str, key: str = "") -> "subprocess.CompletedProcess[str]":
        """Run the operator's command with *key*, ``id:key``; by default with the key that set-up made for it."""
        settings = {
            "ELASTICSEARCH_URL": self._url,
            "ELASTICSEARCH_API_KEY": key or self.read_secret("/secrets/operator/elasticsearch_api_key"),
            "ELASTICSEARCH_CA_FILE": str(self.ca_file),
        }
        return self.run(sys.executable, "-m", "inferlog_ops.cli.main", *arguments, check=False, settings=settings)

    def query(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of the saved query *name* about the last hour."""
        done = self.run_inferlog("query", name, "--last", "1h", "--json")
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    def count_events(self, service: str) -> int:
        """Return how many events of *service* are searchable."""
        with self.superuser.build_client() as client:
            return int(client.count(index=EVENTS, query={"term": {"service.name": service}})["count"])

    def assert_each_stored_once(self, service: str, count: int, timeout_seconds: float) -> None:
        """Wait for the *count* events that *service* has recorded; each number of its sequence must be there once."""
        wait_until(lambda: self.count_events(service) >= count, timeout_seconds, f"{count} events of {service}")
        with self.superuser.build_client() as client:
            numbers = {"numbers": {"stats": {"field": "event.sequence"}}, "ids": {"terms": {"field": _INSTANCE}}}
            found = client.search(index=EVENTS, size=0, query={"term": {"service.name": service}}, aggs=numbers)
        stats = found["aggregations"]["numbers"]
        assert (stats["count"], stats["min"], stats["max"]) == (count, 0, count - 1)
        (instance,) = [bucket["key"] for bucket in found["aggregations"]["ids"]["buckets"]]
        (row,) = [row for row in self.query("lost_events") if row[_INSTANCE] == instance]
        assert (row["found"], row["lost"], row["not_found_yet"]) == (count, 0, 0)
        # Fluentd with an empty volume reads all files again; after a rollover the events would be stored again.
        self.compose("exec", "-T", "app", "sh", "-c", f"rm {LOGS}/*-{service}-*.jsonl")

    def reconcile(self, records: Path, *options: str, wait_seconds: int = 300) -> dict[str, Any]:
        """Compare *records* with the events, by the command that operators use."""
        limits = ("--run-id", records.stem, "--wait-seconds", str(wait_seconds))
        done = self.run_inferlog("reconcile", str(records), "--json", *limits, *options)
        return read_result(done)

    def assert_nothing_lost(self, traffic: "Traffic", *options: str) -> dict[str, Any]:
        """Check that each answered request has exactly one event; one that a killed app has cut off has none."""
        found = self.reconcile(traffic.records, *options)
        cut_off = traffic.find_cut_off()
        unexplained = set(found["lost_ids"]) - cut_off
        faults = {name: found[name] for name in ("duplicated", "events_without_request")}
        assert (unexplained, faults) == (set(), dict.fromkeys(faults, 0)), found
        assert found["lost"] <= len(cut_off), found
        sys.stderr.write(f"{found['sent']} requests, {found['with_event']} with an event, {found['outcomes']}\n")
        return found

    def read_logs(self, service: str, *options: str) -> str:
        """Return the output of *service*."""
        return self.compose("logs", "--no-color", "--no-log-prefix", *options, service)

    def remove(self) -> None:
        """Stop the stack and delete its data and its images: `up` builds no image that exists."""
        self.run("docker", "compose", "--profile", "*", "down", "--volumes", "--timeout", "5")
        self.run("docker", "image", "rm", "--force", *_IMAGES, check=False)

    def is_complete(self) -> bool:
        """Return whether every long-running service runs and is healthy."""
        states = [self.inspect(service)["State"] for service in LONG_RUNNING]
        return all(
            state["Running"] and state.get("Health", {}).get("Status", "healthy") == "healthy" for state in states
        )

    def wait_until_complete(self, timeout_seconds: float = 300) -> None:
        """
        Return when every long-running service runs and is healthy, and Elasticsearch has loaded the events.

        Its health check needs no secret, and so succeeds up to 11 s before that after a kill.
        """
        wait_until(self.is_complete, timeout_seconds, "the stack")
        with self.superuser.build_client() as client:
            once = client.options(max_retries=0)
            wait_until(lambda: _is_searchable(once), timeout_seconds, "the events in Elasticsearch")


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

    def find_cut_off(self) -> set[str]:
        """Return the ids of the requests whose response began and did not end."""
        records = map(json.loads, self.records.read_text().splitlines())
        return {record["correlation_id"] for record in records if record["outcome"] == "broken"}

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


def _is_searchable(client: Elasticsearch) -> bool:
    """Return whether Elasticsearch has loaded its users (401 before) and the events (503 before)."""
    try:
        client.count(index=EVENTS)
    except ApiError as error:
        if error.status_code in (401, 503):
            return False
        raise
    return True


def is_engine_there() -> bool:
    """Return whether a Docker engine answers."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0
