"""End to end: library, shipper, tampering with a real index, and its detection by the command."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

import inferlog
from inferlog_ops.core.cluster import Cluster
from tests.support.chains import build_chain
from tests.support.indexing import index
from tests.support.logfiles import Logs

EVENTS = 30


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inferlog_ops.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def run_verify(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = run("audit", "verify", "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def shipped(logs: Logs, provisioned: Cluster, tmp_path: Path) -> Cluster:
    for number in range(EVENTS):
        with inferlog.track_performance("predict", model_version="v1", tenant="größe\n") as call:
            call.output_tokens = number
            call.cost_usd = number * 1e-6
    inferlog.shutdown()  # with a last heartbeat, which counts the events
    where = ("--url", provisioned.url, "--namespace", provisioned.namespace)
    done = run("ship", "--once", "--from", str(logs.directory), "--state", str(tmp_path / "state"), *where)
    assert done.returncode == 0, done.stderr
    return provisioned


def test_chain_is_intact_in_files_and_index_and_tampering_is_found(shipped: Cluster, logs: Logs) -> None:
    where = ("--url", shipped.url, "--namespace", shipped.namespace)
    whole = {"events": EVENTS, "instances": 1, "dropped": 0, "cut_heads": 0, "not_there": 0, "ahead": 0, "findings": []}
    whole["unreadable_lines"] = 0
    stream = f"logs-inference.events-{shipped.namespace}"
    with Elasticsearch(shipped.url) as client:
        client.indices.refresh(index=stream)
        assert run_verify(*where) == (0, whole)
        assert run_verify("--files", str(logs.directory)) == (0, whole)

        search = client.search(index=stream, size=EVENTS, sort="event.sequence", seq_no_primary_term=True)
        hits = search["hits"]["hits"]
        changed, removed = hits[10], hits[20]
        document = changed["_source"] | {"model_version": "v2"}
        client.index(
            index=changed["_index"],
            id=changed["_id"],
            document=document,
            if_seq_no=changed["_seq_no"],
            if_primary_term=changed["_primary_term"],
        )
        client.delete(index=removed["_index"], id=removed["_id"])
        forged = hits[25]["_source"]
        forged["event"]["id"] = "forged"
        client.create(index=stream, id="forged", document=forged)
        client.indices.refresh(index=stream)

    code, report = run_verify(*where)
    assert code == 1
    findings = [(finding["fault"], finding["sequence"]) for finding in report["findings"]]
    assert findings == [("changed", 10), ("removed", 20), ("put in", 25)]
    said = run("audit", "verify", *where).stdout
    assert f"changed: instance {document['service']['instance']['id']}, sequence 10, event.id {changed['_id']}" in said


def test_events_cut_off_at_the_end_are_named_by_the_last_heartbeat(shipped: Cluster, logs: Logs) -> None:
    (path,) = logs.directory.glob("events-*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]))
    in_files = run_verify("--files", str(logs.directory))

    later = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()  # by then the last heartbeat has settled
    where = ("--url", shipped.url, "--namespace", shipped.namespace, "--last", "1h", "--to", later)
    with Elasticsearch(shipped.url) as client:
        stream = f"logs-inference.events-{shipped.namespace}"
        client.indices.refresh(index=f"logs-inference.*-{shipped.namespace}")
        for hit in client.search(index=stream, size=3, sort="event.sequence:desc")["hits"]["hits"]:
            client.delete(index=hit["_index"], id=hit["_id"])
        client.indices.refresh(index=stream)

    for code, report in (in_files, run_verify(*where)):
        assert code == 1
        (finding,) = report["findings"]
        assert (finding["fault"], finding["sequence"], finding["until"]) == ("cut off", EVENTS - 3, EVENTS - 1)


def test_events_of_a_clock_ahead_are_verified(provisioned: Cluster, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    # The clock was ahead for a while: without the events of that time, the chain would have a hole.
    moments = [now - timedelta(seconds=9), now + timedelta(hours=1), now + timedelta(hours=2), now]
    events = build_chain(moments)
    beat = {"service": {"instance": {"id": "a"}}, "event": {"id": "beat"}, "events_written": 9, "events_dropped": 0}
    index(provisioned, "events", events)
    index(provisioned, "health", [{"@timestamp": (now + timedelta(hours=2)).isoformat(), **beat}])
    (tmp_path / "events-a.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    where = ("--url", provisioned.url, "--namespace", provisioned.namespace)

    for source, ahead in (where, 1), (("--files", str(tmp_path)), 0):
        for span in (), ("--last", "1h"):
            code, report = run_verify(*source, *span)
            assert (code, report["events"], report["ahead"], report["findings"]) == (0, 4, ahead, []), source
    said = run("audit", "verify", *where).stdout
    assert "1 instance with heartbeats of a future time: whether events are cut off at the end is not known" in said
    # A range that someone ends explicitly ends there.
    code, report = run_verify(*where, "--to", now.isoformat())
    assert (code, report["events"], report["ahead"]) == (0, 1, 0)


def test_empty_range_is_rejected(tmp_path: Path) -> None:
    done = run("audit", "verify", "--files", str(tmp_path), "--from", "2026-11-24", "--to", "2026-11-23")
    assert done.returncode == 2
    assert "its end must be after its start" in done.stderr


def test_audit_reports_a_missing_directory_in_one_sentence(tmp_path: Path) -> None:
    done = run("audit", "verify", "--files", str(tmp_path / "no"))
    assert done.returncode == 2
    assert done.stderr.strip().endswith("is not a directory; expected the directory with the event files")
