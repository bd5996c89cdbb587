"""Inferences measured elsewhere count in all four figures, and their past starts make no false loss."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import inferlog
from inferlog_ops.cli.command_list import app
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.query import library
from inferlog_ops.query.run import fetch_rows
from tests.support.logfiles import Logs, logs
from tests.support.shipping import ShipperDirs

__all__ = ["logs"]


def run_named_query(cluster: Cluster, query: str, start: datetime) -> list[dict[str, Any]]:
    return fetch_rows(cluster, library.find(query), start, datetime.now(UTC) + timedelta(seconds=1))


def ship_all(cluster: Cluster, root: Path) -> None:
    inferlog.shutdown()
    ShipperDirs(root).ship_once(cluster)
    with cluster.build_client() as client:
        client.indices.refresh(index=f"logs-inference.events-{cluster.namespace}")


def test_lines_and_records_count_in_the_four_figures(logs: Logs, provisioned: Cluster, tmp_path: Path) -> None:
    start = datetime.now(UTC) - timedelta(seconds=1)
    log = inferlog.get_logger()
    for number in range(10):
        log.info("inference_completed", request_id=f"r-{number}", model_version="v1", latency_seconds=0.1, status=200)
    log.info("inference_failed", model_version="v1", latency_seconds=2.5, status=503, output_tokens=7)
    for status in (200, 429, 500, "cancelled"):
        inferlog.record_inference(model_version="v2", latency_seconds=0.5, status=status, input_tokens=3)
    ship_all(provisioned, tmp_path)
    v1, v2 = run_named_query(provisioned, "overview", start)
    assert (v1["model_version"], v1["requests"], v1["errors"], v1["output_tokens"]) == ("v1", 11, 1, 7)
    assert (v2["model_version"], v2["requests"], v2["errors"], v2["input_tokens"]) == ("v2", 4, 1, 12)
    assert v1["requests_per_second"] > 0
    assert v1["p99_seconds"] == pytest.approx(2.26)
    assert (v2["p99_seconds"], v2["error_rate"]) == (0.5, 0.25)


def test_start_in_the_past_causes_no_false_loss_in_any_range(logs: Logs, provisioned: Cluster, tmp_path: Path) -> None:
    for number in range(12):
        past = datetime.now(UTC) - timedelta(hours=number) if number % 2 else None
        inferlog.record_inference(model_version="v1", latency_seconds=0.5, started_at=past)
    times = [datetime.fromisoformat(event["@timestamp"]) for event in logs.events]
    assert times == sorted(times)
    ship_all(provisioned, tmp_path)
    for start in times:
        (row,) = run_named_query(provisioned, "lost_events", start)
        assert (row["lost"], row["found"]) == (0, sum(time >= start for time in times))
    where = ("--url", provisioned.url, "--namespace", provisioned.namespace, "--from", times[5].isoformat())
    done = CliRunner().invoke(app, ["audit", "verify", "--json", *where])
    assert (done.exit_code, json.loads(done.stdout)["findings"]) == (0, [])
