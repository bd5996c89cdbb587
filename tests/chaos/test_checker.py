"""The checker against a real Elasticsearch in which a document is missing, or there twice."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from tests.chaos.catalogue import FAULTS
from tests.chaos.dirs import Dirs
from tests.chaos.evidence import gather
from tests.chaos.faults.lines import malformed, refused
from tests.chaos.hardlinks import keep_now
from tests.chaos.invariants import broken_promises
from tests.chaos.observed import Observed
from tests.support.shipping import Dirs as ShipperPlace

EVENTS = 50
STREAM = "logs-inference.events-"


def _line(dataset: str, event_id: str, **fields: object) -> bytes:
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
    """What the load noted of a request: due in one of two seconds that stand for before and during the fault."""
    record = {"correlation_id": f"r{number}", "intended_at": number % 2, "ended_after_seconds": 0.1, "status_code": 200}
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


@pytest.fixture
def shipped(tmp_path: Path, provisioned: Cluster) -> Dirs:
    """A trial's directories at its end: a service has written, also what no store takes, and all was shipped."""
    place = Dirs(tmp_path / "trial")
    place.make()
    (place.output / "server.log").touch()
    events = [
        _line("inference.events", f"e{number}", sequence=number, correlation_id=f"r{number}")
        for number in range(EVENTS)
    ]
    goodbye = _line("inference.health", "h0", message="service_stopped", events_written=EVENTS, events_dropped=0)
    (place.logs / "events-chaos-a-1.jsonl").write_bytes(b"".join(events))
    (place.logs / "health-chaos-a-1.jsonl").write_bytes(goodbye)
    (place.logs / "events-chaos_bad-1.jsonl").write_bytes(
        b"".join(line + b"\n" for line in (*malformed(8), *refused(4)))
    )
    place.records.write_bytes(b"".join(map(_record, range(EVENTS))))
    keep_now(place.logs, place.kept)
    ShipperPlace(place.root).ship_once(provisioned)
    return place


def _seen(place: Dirs, cluster: Cluster) -> Observed:
    return gather(place, cluster, removed_files=(), before=(0, 1), during=(1, 2), caught_up_seconds=0.0)


def _broken(place: Dirs, cluster: Cluster) -> list[str]:
    return broken_promises(_seen(place, cluster), [FAULTS["no-fault"]])


def _event(client: Elasticsearch, cluster: Cluster, event_id: str) -> dict[str, Any]:
    stream = STREAM + cluster.namespace
    client.indices.refresh(index=stream)
    hit: dict[str, Any]
    (hit,) = client.search(index=stream, query={"ids": {"values": [event_id]}})["hits"]["hits"]
    return hit


def test_all_lines_that_were_shipped_are_accounted_for(shipped: Dirs, provisioned: Cluster) -> None:
    seen = _seen(shipped, provisioned)
    assert broken_promises(seen, [FAULTS["no-fault"]]) == []
    assert (seen.account.written, seen.account.found, seen.account.dead_lettered) == (EVENTS + 13, EVENTS + 1, 12)


def test_a_document_that_is_deleted_is_found_to_be_lost(shipped: Dirs, provisioned: Cluster) -> None:
    with provisioned.client() as client:
        hit = _event(client, provisioned, "e7")
        client.delete(index=hit["_index"], id="e7", refresh=True)
    lost, reported = _broken(shipped, provisioned)
    assert lost == "1 lines that lay on the disk are neither in the store nor among the dead letters"
    assert "lost_events says 1 of a, of which 0 are missing" in reported


def test_a_document_that_is_added_is_found_to_be_a_duplicate(shipped: Dirs, provisioned: Cluster) -> None:
    stream = STREAM + provisioned.namespace
    with provisioned.client() as client:
        copy = _event(client, provisioned, "e7")["_source"]
        client.indices.rollover(alias=stream)
        client.create(index=stream, id="e7", document=copy)
    said = _broken(shipped, provisioned)
    assert "1 documents are in the store a second time" in said


def test_a_dead_letter_that_is_missing_is_found_to_be_lost(shipped: Dirs, provisioned: Cluster) -> None:
    letters = shipped.state / "dead_letters.jsonl"
    letters.write_bytes(b"".join(letters.read_bytes().splitlines(keepends=True)[1:]))
    assert _seen(shipped, provisioned).account.lost == 1


def test_a_file_that_was_deleted_is_still_counted(shipped: Dirs, provisioned: Cluster) -> None:
    for path in shipped.logs.glob("*.jsonl"):
        path.unlink()
    assert _broken(shipped, provisioned) == []
