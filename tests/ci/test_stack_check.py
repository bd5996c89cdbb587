"""The check that CI makes of the container stack, made of the embedded engine with the same settings of the service."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.provision.elasticsearch import provision_cluster
from tests.support import compose_go, locust_runs
from tests.support.chat_server import run_server
from tests.support.compose_go import ROOT, read_example_settings
from tests.support.shipping import QUICK, ShipperDirs

CHECK = ROOT / ".ci" / "stack_check.py"
OVERRIDE = ROOT / ".ci" / "stack.yml"


def read_settings_of_ci() -> dict[str, str]:
    """Return the service settings of CI, with the price file of this checkout."""
    settings: dict[str, str] = yaml.safe_load(OVERRIDE.read_text())["services"]["app"]["environment"]
    return settings | {"INFERLOG_PRICE_FILE": str(ROOT / ".ci" / "prices.json")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A cluster, and the records of the requests to a service that writes to it."""

    cluster: Cluster
    records: list[dict[str, Any]]


@pytest.fixture(scope="module")
def stack(engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Some hundred requests, sent, answered, logged and on their way."""
    home = tmp_path_factory.mktemp("stack")
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    quick_heartbeat = {"INFERLOG_HEARTBEAT_SECONDS": "0.2"}
    with (
        ShipperDirs(home).run_shipper(cluster, replace(QUICK, heartbeat_seconds=0.2)),
        run_server(home, read_settings_of_ci() | quick_heartbeat) as server,
    ):
        run = locust_runs.run(
            home, "--host", server.url, "--rate", 25, "--user-rate", 0.6, "--duration", 6, "--exit-code-on-error", 0
        )
        assert run.returncode == 0, run.output
        assert len(run.records) > 80
        yield Stack(cluster=cluster, records=run.records)


def check(stack: Stack, folder: Path, records: list[dict[str, Any]], *more: object) -> subprocess.CompletedProcess[str]:
    file = folder / "records.jsonl"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    options = ("--records", file, "--shipper", "inferlog", "--url", stack.cluster.url, "--patience-seconds", 20)
    command = [sys.executable, CHECK, *options, "--namespace", stack.cluster.namespace, *more]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)


def test_complete_stack_passes(stack: Stack, tmp_path: Path) -> None:
    done = check(stack, tmp_path, stack.records)
    assert done.returncode == 0, done.stderr
    count = len(stack.records)
    assert f"{count} requests sent" in done.stdout
    assert f"{count} events found" in done.stdout
    assert "every panel has data" in done.stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda records: [*records, records[0] | {"correlation_id": f"{records[0]['correlation_id']}x"}],
            "1 requests without an event: ",
        ),
        (lambda records: records[1:], "1 surplus events of a request: "),
        (
            lambda records: [records[0] | {"outcome": "unanswered"}, *records[1:]],
            "1 requests without a response, which may or may not have arrived: ",
        ),
    ],
    ids=["lost", "unknown", "unanswered"],
)
def test_mismatched_requests_and_events_are_listed(stack: Stack, tmp_path: Path, change: Any, words: str) -> None:
    done = check(stack, tmp_path, change(stack.records), "--patience-seconds", 1)
    assert done.returncode == 1
    assert f"{words}{stack.records[0]['correlation_id']}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_empty_panels_are_listed(stack: Stack, tmp_path: Path, provisioned: Cluster) -> None:
    """One event alone: nobody has said how the service is, what anything costs, who failed."""
    record = stack.records[0]
    document = {
        "@timestamp": datetime.now(UTC).isoformat(),
        "event": {"id": "1", "sequence": 0},
        "correlation_id": record["correlation_id"],
        "latency_seconds": 0.1,
    }
    with provisioned.build_client() as client:
        client.create(index=build_stream_name("events", provisioned.namespace), id="1", document=document, refresh=True)
    done = check(replace(stack, cluster=provisioned), tmp_path, [record], "--patience-seconds", 0)
    assert done.returncode == 1
    assert "panels whose query returns no rows: " in done.stderr
    for name in ("costs", "saturation_over_time", "errors_by_type"):
        assert f"({name})" in done.stderr
    for name, why in (("p99_latency", "has its event"), ("duplicate_events", "is right"), ("fluentd", "is not here")):
        assert f"({name})" not in done.stderr, why


@pytest.mark.parametrize(("content", "words"), [("", "contains no request"), ("{", "cannot be read as records")])
def test_file_without_records_is_rejected(stack: Stack, tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_text(content)
    done = check(stack, tmp_path, [], "--records", file)
    assert done.returncode == 1
    assert f"empty.jsonl {words}" in done.stderr


def test_docker_compose_takes_what_ci_puts_over_the_stack() -> None:
    stack = compose_go.load_valid(ROOT / "docker-compose.yml", OVERRIDE, **read_example_settings())
    app = stack["services"]["app"]
    assert json.loads(app["environment"]["INFERLOG_SERVER_VERSIONS"])
    assert {mount["target"]: mount.get("read_only", False) for mount in app["volumes"]} == {
        "/var/log/inferlog": False,
        "/prices.json": True,
    }
