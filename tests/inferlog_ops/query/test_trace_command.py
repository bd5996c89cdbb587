"""Output of ``inferlog trace`` for two service processes whose logs are shipped into a real engine."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from uuid import uuid4

import httpx2 as httpx
import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster
from tests.support.chat_server import MODEL, RunningServer, run_server
from tests.support.commands import run
from tests.support.indexing import index_many
from tests.support.polling import wait_until

FIGURES = {"first_token_median_seconds": 0.2, "token_median_seconds": 0.01, "output_tokens_median": 10, "sigma": 0}
ROUNDED_SECONDS, ROUNDED_SHARE = 2e-6, 2e-4
"""Maximum sum of the rounding errors of three figures."""
VERSIONS = [{"name": "v1", "share": 0}, {"name": "v2", "simulated": FIGURES}]


@dataclass(frozen=True)
class Chain:
    """A request through both services, and the location of its events."""

    correlation_id: str
    answer: httpx.Response
    cluster: Cluster

    def trace(self, *arguments: str) -> CompletedProcess[str]:
        where = ("--url", self.cluster.url, "--namespace", self.cluster.namespace)
        return run("trace", *arguments, *where)


@pytest.fixture(scope="module")
def chain(engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    homes = tmp_path_factory.mktemp("homes")
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    with (
        run_server(
            homes / "model", {"INFERLOG_SERVICE_NAME": "model"}, backend="simulated", versions=VERSIONS
        ) as model,
        run_server(
            homes / "gateway",
            {"INFERLOG_SERVICE_NAME": "gateway"},
            backend="upstream",
            upstream_url=model.url,
            # The model server decides by its shares which version answers.
            versions=[{"name": "any", "upstream_model": MODEL}],
        ) as gateway,
    ):
        gateway.ask()  # makes the connection, and is of another chain
        # A model server that loses the processor once its last byte is out notes its end after the gateway's.
        correlation_id, answer = wait_until(
            lambda: ask_in_time(gateway, model), what="a trace with the model server's span inside the gateway's"
        )
    for service in ("model", "gateway"):
        ship(homes / service / "logs", homes / service / "state", cluster)
    with cluster.build_client() as client:
        client.indices.refresh(index=f"logs-inference.*-{cluster.namespace}")
    return Chain(correlation_id, answer, cluster)


def ask_in_time(gateway: RunningServer, model: RunningServer) -> tuple[str, httpx.Response] | None:
    """Return a request's id and answer, or None if neither span covers the other."""
    correlation_id = f"order-{uuid4().hex[:8]}"
    answer = gateway.ask("Say hello.", headers={"X-Correlation-ID": correlation_id}, stream=True)
    outer, inner = (begin_and_end(each.wait_for_event_of_chain(correlation_id)) for each in (gateway, model))
    return (correlation_id, answer) if outer[0] < inner[0] and inner[1] <= outer[1] else None


def begin_and_end(event: dict[str, Any]) -> tuple[datetime, datetime]:
    ended = datetime.fromisoformat(event["@timestamp"])
    return ended - timedelta(seconds=event["latency_seconds"]), ended


def ship(logs: Path, state: Path, cluster: Cluster) -> None:
    where = ("--url", cluster.url, "--namespace", cluster.namespace)
    shipped = run("ship", "--once", "--from", logs, "--state", state, *where)
    assert shipped.returncode == 0, shipped.stderr


def test_chain_of_two_services_shows_both_and_the_shares_add_up(chain: Chain) -> None:
    traced = chain.trace(chain.correlation_id, "--json")

    assert traced.returncode == 0, traced.stderr
    printed = json.loads(traced.stdout)
    assert printed["correlation_id"] == chain.correlation_id
    gateway, model = printed["hops"]
    assert (gateway["service"], gateway["depth"]) == ("gateway", 0)
    assert (model["service"], model["depth"]) == ("model", 1)
    assert gateway["request_id"] == chain.answer.headers["x-request-id"] != model["request_id"]
    assert gateway["model_version"] == model["model_version"] == "v2"
    assert gateway["status"] == model["status"] == "success"
    assert 0.29 < model["latency_seconds"] == model["own_seconds"] < gateway["latency_seconds"]
    assert gateway["own_seconds"] + model["own_seconds"] == pytest.approx(
        gateway["latency_seconds"], abs=ROUNDED_SECONDS
    )
    assert gateway["own_share"] + model["own_share"] == pytest.approx(1, abs=ROUNDED_SHARE)
    assert 0 == gateway["begin_seconds"] < model["begin_seconds"]


def test_table_shows_the_model_server_below_the_gateway(chain: Chain) -> None:
    traced = chain.trace(chain.correlation_id)

    assert traced.returncode == 0, traced.stderr
    title, gateway, model = traced.stdout.rstrip().splitlines()
    assert title.split()[0] == "service"
    assert gateway.split()[0] == "gateway"
    assert model.startswith("  model ")
    assert [line.split()[2:4] for line in (gateway, model)] == [["v2", "success"]] * 2
    assert all(line.rstrip().endswith("%") for line in (gateway, model))


def test_unknown_id_is_reported_in_one_sentence(chain: Chain) -> None:
    traced = chain.trace("nobody-has-seen-me")

    assert traced.returncode == 1
    assert traced.stdout == ""
    assert "no event has the correlation id 'nobody-has-seen-me'" in traced.stderr.replace("\n", " ")
    assert "Traceback" not in traced.stderr


def test_requests_and_lines_beyond_the_limit_are_counted(provisioned: Cluster) -> None:
    of_both = {"correlation_id": "long", "service": {"name": "batch"}}
    began = datetime.fromisoformat("2026-11-23T06:00:00Z")
    times = [(began + timedelta(seconds=number)).isoformat() for number in range(1_003)]
    index_many(
        provisioned,
        "events",
        [{**of_both, "@timestamp": time, "status": "success", "latency_seconds": 0.5} for time in times[:1_002]],
    )
    index_many(provisioned, "app", [{**of_both, "@timestamp": time, "message": "a line"} for time in times])
    where = ("--url", provisioned.url, "--namespace", provisioned.namespace)
    table = run("trace", "long", "--lines", *where)
    assert table.returncode == 3
    assert "2 later requests are missing: the first 1,000 are shown" in table.stderr
    assert "3 later lines are missing: the first 1,000 are shown" in table.stderr
    traced = run("trace", "long", "--lines", "--json", *where)
    assert traced.returncode == 3
    said = json.loads(traced.stdout)
    assert (len(said["hops"]), said["missing_hops"]) == (1_000, 2)
    assert (len(said["lines"]), said["missing_lines"]) == (1_000, 3)


def test_documents_of_other_writers_are_shown_without_their_missing_fields(provisioned: Cluster) -> None:
    """The shipper accepts any document with a time."""
    odd = {"@timestamp": "2026-11-23T06:00:00Z", "correlation_id": "odd"}
    index_many(provisioned, "events", [odd, odd | {"model_version": ["v1", "v2"], "latency_seconds": [0.5, 1]}])
    index_many(provisioned, "app", [odd])
    traced = Chain("odd", httpx.Response(200), provisioned).trace("odd", "--lines")
    assert (traced.returncode, traced.stderr) == (0, "")
    _, *hops, line = traced.stdout.splitlines()
    assert sorted(" ".join(hop.split()) for hop in hops) == [
        "(none) - (none) (none) 0.500 0.000 0.000 0.0%",
        "(none) - v1 (none) 0.000 0.500 0.500 100.0%",
    ]
    assert line == "2026-11-23T06:00:00Z  (none)    "
