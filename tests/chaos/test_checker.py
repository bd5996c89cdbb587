"""Checker on a real Elasticsearch with a missing or a duplicated document."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from tests.chaos.evidence import Evidence, gather_evidence
from tests.chaos.fault_list import FAULTS
from tests.chaos.faults.lines import make_malformed, make_refused
from tests.chaos.hardlinks import link_now
from tests.chaos.invariants import check_invariants
from tests.chaos.trial_dirs import TrialDirs
from tests.support.shipping import ShipperDirs

EVENTS = 50
STREAM = "logs-inference.events-"


def _build_line(dataset: str, event_id: str, **fields: object) -> bytes:
    content = {
        "@timestamp": "2026-11-23T06:15:00.123456Z",
        "event": {
            "id": event_id,
            "dataset": dataset,
            **({"sequence": fields.pop("sequence")} if "sequence" in fields else {}),
        },
        "service": {"name": "chaos", "instance": {"id": "a"}},
        **fields,
    }
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def _record(number: int) -> bytes:
    """Record of a request, due before or during the fault."""
    record = {"correlation_id": f"r{number}", "intended_at": number % 2, "ended_after_seconds": 0.1, "status_code": 200}
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


@pytest.fixture
def shipped(tmp_path: Path, provisioned: Cluster) -> TrialDirs:
    """Directories at the end of a trial: all lines are shipped, including invalid ones."""
    dirs = TrialDirs(tmp_path / "trial")
    dirs.make()
    (dirs.output / "server.log").touch()
    events = [
        _build_line("inference.events", f"e{number}", sequence=number, correlation_id=f"r{number}")
        for number in range(EVENTS)
    ]
    goodbye = _build_line("inference.health", "h0", message="service_stopped", events_written=EVENTS, events_dropped=0)
    (dirs.logs / "events-chaos-a-1.jsonl").write_bytes(b"".join(events))
    (dirs.logs / "health-chaos-a-1.jsonl").write_bytes(goodbye)
    (dirs.logs / "events-chaos_bad-1.jsonl").write_bytes(
        b"".join(line + b"\n" for line in (*make_malformed(8), *make_refused(4)))
    )
    dirs.records.write_bytes(b"".join(map(_record, range(EVENTS))))
    link_now(dirs.logs, dirs.kept)
    ShipperDirs(dirs.root).ship_once(provisioned)
    return dirs


def _gather_evidence(dirs: TrialDirs, cluster: Cluster) -> Evidence:
    return gather_evidence(dirs, cluster, removed_files=(), before=(0, 1), during=(1, 2), caught_up_seconds=0.0)


def _list_broken(dirs: TrialDirs, cluster: Cluster) -> list[str]:
    return check_invariants(_gather_evidence(dirs, cluster), [FAULTS["no-fault"]])


def _find_event(client: Elasticsearch, cluster: Cluster, event_id: str) -> dict[str, Any]:
    stream = STREAM + cluster.namespace
    client.indices.refresh(index=stream)
    hit: dict[str, Any]
    (hit,) = client.search(index=stream, query={"ids": {"values": [event_id]}})["hits"]["hits"]
    return hit


def test_checker_accounts_for_all_shipped_lines(shipped: TrialDirs, provisioned: Cluster) -> None:
    seen = _gather_evidence(shipped, provisioned)
    assert check_invariants(seen, [FAULTS["no-fault"]]) == []
    assert (seen.account.written, seen.account.found, seen.account.dead_lettered) == (EVENTS + 13, EVENTS + 1, 12)


def test_checker_finds_loss_when_document_is_deleted(shipped: TrialDirs, provisioned: Cluster) -> None:
    with provisioned.build_client() as client:
        hit = _find_event(client, provisioned, "e7")
        client.delete(index=hit["_index"], id="e7", refresh=True)
    lost, reported = _list_broken(shipped, provisioned)
    assert lost == "1 lines on the disk are neither in the store nor among the dead letters"
    assert "lost_events reports 1 lost events of a; 0 are missing" in reported


def test_checker_finds_duplicate_when_document_is_added(shipped: TrialDirs, provisioned: Cluster) -> None:
    stream = STREAM + provisioned.namespace
    with provisioned.build_client() as client:
        copy = _find_event(client, provisioned, "e7")["_source"]
        client.indices.rollover(alias=stream)
        client.create(index=stream, id="e7", document=copy)
    said = _list_broken(shipped, provisioned)
    assert "1 documents are in the store a second time" in said


def test_checker_finds_loss_when_dead_letter_is_removed(shipped: TrialDirs, provisioned: Cluster) -> None:
    letters = shipped.state / "dead_letters.jsonl"
    letters.write_bytes(b"".join(letters.read_bytes().splitlines(keepends=True)[1:]))
    assert _gather_evidence(shipped, provisioned).account.lost == 1


def test_checker_counts_deleted_file(shipped: TrialDirs, provisioned: Cluster) -> None:
    for path in shipped.logs.glob("*.jsonl"):
        path.unlink()
    assert _list_broken(shipped, provisioned) == []
