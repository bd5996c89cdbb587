"""Every command that reads a cluster, with a namespace that is mistyped or not provisioned."""

from pathlib import Path
from uuid import uuid4

import pytest
import urllib3

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.preview.app import create_app
from tests.support import commands
from tests.support.reconciling import make_record, write_records
from tests.support.serving import serve_app

NAMESPACE = f"mistyped{uuid4().hex[:8]}"
COMMAND = f"inferlog provision --namespace {NAMESPACE}"


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        ("query overview", 1),
        ("query overview --every-version", 1),
        ("query long_range_latency", 1),
        ("query lost_events", 1),
        ("query alerts", 1),
        ("compare v1 v2", 1),
        ("alerts check", 3),
        ("alerts check --rule p99_latency --record", 3),
        ("trace some-id", 1),
        ("trace some-id --lines", 1),
        ("audit verify", 1),
        ("reconcile {records}", 1),
        ("redrive --failure-store", 1),
        ("redrive --failure-store --list", 1),
        ("summarize", 1),
        ("summarize --check", 1),
    ],
)
def test_command_names_the_missing_stream_and_the_command_that_creates_it(
    arguments: str, exit_code: int, engine_url: str, tmp_path: Path
) -> None:
    records = write_records(tmp_path / "client.jsonl", [make_record("a")])
    words = arguments.format(records=records).split()
    done = commands.run_here(*words, "--url", engine_url, "--namespace", NAMESPACE)
    assert (done.returncode, done.stdout) == (exit_code, "")
    for line in done.stderr.splitlines():
        assert f"{engine_url} lacks the stream" in line
        assert line.endswith(COMMAND)
    assert done.stderr


def test_preview_shows_the_same_sentence_in_panels_and_controls(engine_url: str) -> None:
    with serve_app(create_app(Cluster(url=engine_url, namespace=NAMESPACE))) as url, urllib3.PoolManager() as pool:
        dashboard = f"{url}/api/dashboards/inferlog-overview"
        laid_out = pool.request("GET", dashboard).json()
        panels = [f"panels/{item['id']}" for item in laid_out["items"] if item.get("queries")]
        controls = [f"controls/{control['id']}/values" for control in laid_out["controls"]]
        assert panels
        assert controls
        for part in panels + controls:
            answer = pool.request("GET", f"{dashboard}/{part}?from=2026-11-23T06:00:00Z&to=2026-11-23T07:00:00Z")
            assert answer.status == 502, part
            assert f"{engine_url} lacks the stream" in answer.json()["detail"], part
            assert answer.json()["detail"].endswith(COMMAND), part
        assert pool.request("GET", f"{url}/api/status").json()["problem"].endswith(COMMAND)
