"""Faults of Elasticsearch: retries, dead letters, and no duplicates."""

import errno
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import orjson
import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.ship import delivery
from inferlog_ops.ship.dead_letters import DeadLetters
from inferlog_ops.ship.pipeline import ShipOutcome
from inferlog_ops.ship.status import Counts
from tests.support.faulty_store import Fault, FaultyStore, build_error_body, build_refused_item, run_faulty_store
from tests.support.polling import wait_until
from tests.support.serving import CERTIFICATE
from tests.support.shipping import QUICK, ShipperDirs, build_event_line, make_event_ids, write_events

IDS = make_event_ids(20)


def run_until_it_waits(cluster: Cluster, place: ShipperDirs) -> ShipOutcome:
    """Run a shipper until it reports why it waits; return its outcome."""
    with place.open_shipper(cluster) as shipper, ThreadPoolExecutor(1) as thread:
        running = thread.submit(shipper.run, once=True)
        try:
            wait_until(lambda: running.done() or "waits: " in place.said.getvalue(), what="the reason")
        finally:
            shipper.stop()
        return running.result()


def read_send_time(faulty: FaultyStore, event_id: str) -> str:
    time: str = orjson.loads(faulty.documents[event_id])["event.ingested"]
    return time


FOR_EVER = {
    "401": Fault(status=401, body=build_error_body("security_exception", "missing authentication credentials", 401)),
    "403": Fault(status=403, body=build_error_body("security_exception", "unauthorized", 403)),
    "404": Fault(status=404, body=build_error_body("index_not_found_exception", "no such index", 404)),
    "408": Fault(status=408, body=b""),
    "429": Fault(status=429, body=build_error_body("es_rejected_execution_exception", "rejected", 429)),
    "500": Fault(status=500, body=build_error_body("exception", "boom", 500)),
    "503": Fault(status=503, body=b"<html>starting</html>"),
    "a redirect": Fault(status=302, body=b"", headers={"location": "http://127.0.0.1:1/"}),
    "no JSON": Fault(body=b"<html>welcome</html>"),
    "other JSON": Fault(body=b"[1]"),
    "fewer items": Fault(body=b'{"errors":false,"items":[{"create":{"status":201}}]}'),
    "items of another kind": Fault(
        body=b'{"errors":false,"items":[%s]}' % b",".join([b'{"index":{"status":201}}'] * 20)
    ),
    "nothing": Fault(body=b""),
    "cut before the request is read": Fault(cut="before"),
    "cut after the request is read": Fault(cut="after"),
    "item 403 blocked": Fault(item=lambda _: build_refused_item(403, "cluster_block_exception")),
    "item 404 no stream": Fault(item=lambda _: build_refused_item(404, "index_not_found_exception")),
    "item 429": Fault(item=lambda _: build_refused_item(429, "es_rejected_execution_exception")),
    "item 503": Fault(item=lambda _: build_refused_item(503, "unavailable_shards_exception")),
    "item 400 closed": Fault(item=lambda _: build_refused_item(400, "index_closed_exception")),
    "item 400 no more shards": Fault(item=lambda _: build_refused_item(400, "validation_exception")),
    "item 400 no pipeline": Fault(item=lambda _: build_refused_item(400, "illegal_argument_exception")),
    "400 for the whole request": Fault(status=400, body=build_error_body("illegal_argument_exception", "no", 400)),
}


@pytest.mark.parametrize("fault", FOR_EVER.values(), ids=FOR_EVER)
def test_request_is_retried_until_it_works_when_no_document_is_at_fault(
    fault: Fault, faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    faulty.faults.extend([fault] * 10_000)
    with place.run_shipper(faulty_cluster):
        wait_until(lambda: "waits: events: " in place.said.getvalue(), what="the reason in the status line")
        assert place.offsets.get(place.events.name, 0) == 0
        faulty.faults.clear()
        wait_until(lambda: place.offsets.get(place.events.name, 0) == place.events.stat().st_size, what="an answer")
    assert faulty.stored == Counter(IDS)
    assert place.dead_letters == []


@pytest.mark.parametrize("cut", ["after", "middle"])
def test_lost_response_makes_no_duplicate(
    cut: str, faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    faulty.faults.append(Fault(stores=True, cut=cut))
    outcome = place.ship_once(faulty_cluster)
    assert faulty.stored == Counter(IDS)
    assert outcome.status.counts == Counts(duplicates=20)


@pytest.mark.parametrize("cut", ["after", "middle"])
def test_lost_response_makes_no_duplicate_across_a_rollover(
    cut: str, faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    rolled_over = threading.Event()
    faulty.faults.append(Fault(stores=True, cut=cut, hang=rolled_over))
    with place.run_shipper(faulty_cluster) as shipper:
        write_events(place.events, IDS)
        wait_until(lambda: faulty.stored, what="the first try")
        faulty.roll_over()
        rolled_over.set()
        wait_until(lambda: place.offsets.get(place.events.name), what="a second try that is answered")
        assert shipper
    assert faulty.stored == Counter(IDS)
    assert faulty.count_requests("_refresh") > 0


def test_only_refused_documents_are_sent_again(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    rejected = build_refused_item(429, "es_rejected_execution_exception")
    faulty.faults.append(Fault(item=lambda event_id: rejected if event_id in IDS[5:8] else None))
    outcome = place.ship_once(faulty_cluster)
    assert [ids for _, path, ids in faulty.requests if "_bulk" in path] == [IDS, IDS[5:8]]
    assert outcome.status.counts == Counts(shipped=20)


def test_each_attempt_has_its_own_send_time(faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs) -> None:
    hang = threading.Event()
    write_events(place.events, ["a"])
    faulty.faults.append(Fault(status=503, hang=hang))
    with place.run_shipper(faulty_cluster):
        wait_until(lambda: faulty.bulk_sizes, what="the first try")
        write_events(place.logs / "app-scoring-1-1.jsonl", ["b"])
        wait_until(lambda: "b" in faulty.documents, what="another stream's line")
        hang.set()
        wait_until(lambda: "a" in faulty.documents, what="the second try")
    assert read_send_time(faulty, "a") > read_send_time(faulty, "b")


def test_request_is_halved_on_413(faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, IDS)
    faulty.largest_bytes = 1_000
    outcome = place.ship_once(faulty_cluster)
    assert faulty.stored == Counter(IDS)
    assert outcome.status.counts == Counts(shipped=20)
    assert faulty.bulk_sizes[:3] == [20, 10, 5]


def test_too_large_document_is_a_dead_letter(faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, IDS[:9])
    write_events(place.events, ["large"], message="x" * 2_000)
    write_events(place.events, IDS[9:])
    faulty.largest_bytes = 1_000
    outcome = place.ship_once(faulty_cluster)
    assert faulty.stored == Counter(IDS)
    assert outcome.status.counts == Counts(shipped=20, dead_lettered=1)
    (letter,) = place.dead_letters
    assert letter["line"] == build_event_line("large", message="x" * 2_000).decode().strip()
    assert letter["reason"] == "answered 413: <html>too large</html>"


def test_too_large_item_is_sent_alone_before_it_is_refused(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    too_large = build_refused_item(413, "es_rejected_execution_exception", "operation of 9 bytes")
    faulty.always = lambda _stream, _ids: Fault(item=lambda event_id: too_large if event_id == IDS[3] else None)
    outcome = place.ship_once(faulty_cluster)
    assert faulty.stored == Counter(set(IDS) - {IDS[3]})
    assert [ids for _, path, ids in faulty.requests if "/_bulk" in path][-1] == [IDS[3]]
    assert outcome.status.counts == Counts(shipped=19, dead_lettered=1)


@pytest.mark.parametrize(
    "error_type", ["document_parsing_exception", "mapper_parsing_exception", "strict_dynamic_mapping_exception"]
)
def test_unparsable_document_is_a_dead_letter_immediately(
    error_type: str, faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, ["bad"])
    faulty.faults.append(Fault(item=lambda _: build_refused_item(400, error_type, "failed to parse [x]")))
    outcome = place.ship_once(faulty_cluster)
    assert outcome.status.counts == Counts(dead_lettered=1)
    assert place.dead_letters[0]["reason"] == f"answered 400: {error_type}: failed to parse [x]"


def test_document_in_the_failure_store_is_a_dead_letter(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    used = {"status": 201, "failure_store": "used"}
    faulty.faults.append(Fault(item=lambda event_id: used if event_id == IDS[7] else None))
    outcome = place.ship_once(faulty_cluster)
    assert outcome.status.counts == Counts(shipped=19, dead_lettered=1)
    assert place.dead_letters[0]["reason"] == "Elasticsearch put it into the failure store"


def test_suspected_document_is_refused_when_others_in_its_request_are_stored(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    immense = build_refused_item(400, "illegal_argument_exception", "immense term")
    faulty.always = lambda _stream, _ids: Fault(item=lambda event_id: immense if event_id == IDS[0] else None)
    outcome = place.ship_once(faulty_cluster)
    assert outcome.status.counts == Counts(shipped=19, dead_lettered=1)


def test_suspected_document_waits_until_the_stream_stores_another_one(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    immense = build_refused_item(400, "illegal_argument_exception", "immense term")
    faulty.always = lambda _stream, _ids: Fault(item=lambda event_id: immense if event_id == "bad" else None)
    with place.run_shipper(faulty_cluster):
        write_events(place.events, ["bad"])
        wait_until(lambda: len(faulty.bulk_sizes) > 3, what="a few tries")
        assert place.dead_letters == []
        write_events(place.events, ["good"])
        wait_until(lambda: place.dead_letters, what="the verdict")
    assert faulty.stored == Counter(["good"])


def test_document_that_fails_its_request_is_found_at_any_position(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    spoiled = Fault(status=400, body=build_error_body("action_request_validation_exception", "no", 400))
    for bad in (IDS[0], IDS[11], IDS[-1]):
        faulty.documents.clear()
        faulty.stored.clear()
        faulty.indexes.clear()
        faulty.always = lambda _stream, ids, bad=bad: spoiled if bad in ids else None  # type: ignore[misc]
        here = ShipperDirs(place.root / bad)
        write_events(here.events, IDS)
        outcome = here.ship_once(faulty_cluster)
        assert faulty.stored == Counter(set(IDS) - {bad})
        assert outcome.status.counts == Counts(shipped=19, dead_lettered=1)


def test_refused_stream_does_not_block_another(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    missing = Fault(item=lambda _: build_refused_item(404, "index_not_found_exception", "no such index"))
    faulty.always = lambda stream, _ids: missing if stream == "app" else None
    write_events(place.logs / "app-scoring-1-1.jsonl", make_event_ids(500, "a"))
    write_events(place.events, make_event_ids(500))
    with place.run_shipper(faulty_cluster, replace(QUICK, bulk_events=20)):
        wait_until(lambda: len(faulty.stored) == 500, what="all lines of the stream that is there")
        wait_until(lambda: "inferlog provision" in place.said.getvalue(), what="the advice")
        assert place.offsets["app-scoring-1-1.jsonl"] == 0
        faulty.always = lambda _stream, _ids: None
        wait_until(lambda: len(faulty.stored) == 1000, what="the lines of the other stream")


def test_backoff_ends_when_a_batch_succeeds(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first successful batch ends the delays of the others."""
    waits: list[int] = []

    def return_an_hour(tries: int, **_settings: float) -> float:
        waits.append(tries)
        return 3600.0

    monkeypatch.setattr(delivery, "compute_backoff_seconds", return_an_hour)
    write_events(place.events, make_event_ids(30))
    faulty.always = lambda _stream, _ids: Fault(status=503, body=b"")
    with place.run_shipper(faulty_cluster, replace(QUICK, bulk_events=10)):
        wait_until(lambda: waits == [1, 1, 1], what="three batches that wait")
        faulty.always = lambda _stream, _ids: None
        write_events(place.events, make_event_ids(1, "new"))
        wait_until(lambda: len(faulty.stored) == 31, what="all of them")


def test_shipping_continues_and_is_logged_once_when_the_key_may_not_search(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    faulty.may_search = False
    for number in range(5):
        write_events(place.logs / f"events-scoring-1-{number}.jsonl", make_event_ids(10, f"f{number}-"))
    outcome = place.ship_once(faulty_cluster, replace(QUICK, bulk_events=7))
    assert outcome.status.counts == Counts(shipped=50)
    assert place.said.getvalue().count("does not permit searching") == 1


def test_stop_saves_the_acknowledged_offsets_while_the_store_hangs(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    hang = threading.Event()
    faulty.always = lambda stream, _ids: Fault(hang=hang, stores=True) if stream == "app" else None
    write_events(place.logs / "app-scoring-1-1.jsonl", ["a"])
    write_events(place.events, IDS)
    try:
        with place.run_shipper(faulty_cluster, replace(QUICK, stop_seconds=0.5)):
            wait_until(lambda: len(faulty.bulk_sizes) == 2, what="both requests")
            wait_until(lambda: len(faulty.stored) >= 20, what="one answer")
        assert place.offsets == {place.events.name: place.events.stat().st_size, "app-scoring-1-1.jsonl": 0}
    finally:
        hang.set()


def test_reason_for_waiting_is_one_line(faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, IDS)
    long = "line one\n at [Source: x]\r\n" * 100
    faulty.always = lambda _stream, _ids: Fault(item=lambda _: build_refused_item(503, "x", long))
    outcome = run_until_it_waits(faulty_cluster, place)
    assert len(outcome.status.waiting[0]) <= 300
    assert outcome.status.as_line().isprintable()


def test_file_that_disappears_during_a_once_run_is_logged(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    hang = threading.Event()
    faulty.always = lambda _stream, ids: Fault(hang=hang, stores=True) if ids[0] == IDS[0] else None
    settings = replace(QUICK, bulk_events=10, stream_batches=1)
    write_events(place.events, IDS)
    size = place.events.stat().st_size
    outcomes: list[ShipOutcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(place.ship_once(faulty_cluster, settings)))
    thread.start()
    wait_until(lambda: faulty.bulk_sizes, what="the first half")
    place.events.unlink()
    hang.set()
    thread.join()
    assert outcomes[0].status.counts == Counts(shipped=10, lost_files=1, lost_bytes=size // 2)


def test_status_contains_the_reason_when_a_run_gives_up(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    faulty.always = lambda _stream, _ids: Fault(status=503, body=build_error_body("x", "no master", 503))
    with place.open_shipper(faulty_cluster) as shipper:
        outcome = shipper.run(once=True, timeout_seconds=3.0)  # enough for a first response
    assert outcome.timed_out
    assert not outcome.complete
    assert outcome.status.waiting == ["events: answered 503: x: no master"]
    assert outcome.status.behind_bytes == place.events.stat().st_size


def test_credentials_of_the_url_or_the_key_are_sent(faulty: FaultyStore, place: ShipperDirs) -> None:
    write_events(place.events, ["a"])
    place.ship_once(Cluster(url=faulty.url, api_key="c2VjcmV0", namespace="test"))
    assert faulty.headers[-1]["authorization"] == "ApiKey c2VjcmV0"
    write_events(place.events, ["b"])
    place.ship_once(Cluster(url=faulty.url.replace("//", "//elastic:p%40ss@"), namespace="test"))
    assert faulty.headers[-1]["authorization"] == "Basic ZWxhc3RpYzpwQHNz"


def test_offset_waits_when_a_dead_letter_cannot_be_written(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_letters: DeadLetters, _refused: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    place.logs.mkdir()
    place.events.write_bytes(b"{bad\n" + build_event_line("a"))
    monkeypatch.setattr(DeadLetters, "write", full_disk)
    with place.run_shipper(faulty_cluster):
        wait_until(lambda: "dead letters cannot be written: No space left" in place.said.getvalue(), what="the reason")
        assert place.offsets == {place.events.name: 0}
        monkeypatch.undo()
        wait_until(lambda: place.offsets.get(place.events.name, 0) > 0, what="an answer")
    assert [letter["offset"] for letter in place.dead_letters] == [0]
    assert faulty.stored == Counter(["a"])


def test_tls_requires_the_configured_authority(place: ShipperDirs) -> None:
    write_events(place.events, IDS)
    with run_faulty_store(certificate=CERTIFICATE) as store:
        stranger = Cluster(url=store.url, namespace="test")
        outcome = run_until_it_waits(stranger, place)
        assert "CERTIFICATE_VERIFY_FAILED" in outcome.status.waiting[0]
        place.ship_once(replace(stranger, ca_file=str(CERTIFICATE)))
    assert store.stored == Counter(IDS)
