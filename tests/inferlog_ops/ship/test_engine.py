"""Shipping into a real Elasticsearch."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import orjson
import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.ship.status import Counts
from tests.support.polling import wait_until
from tests.support.shipping import QUICK, ShipperDirs, build_event_line, count_stored_ids, make_event_ids, write_events


def roll_over(cluster: Cluster, stream: str = "events") -> None:
    with cluster.build_client() as client:
        client.indices.rollover(alias=f"logs-inference.{stream}-{cluster.namespace}")


def test_every_stream_is_shipped_once_across_two_runs(provisioned: Cluster, place: ShipperDirs) -> None:
    for stream in ("events", "app", "health", "content"):
        write_events(place.logs / f"{stream}-scoring-1-1.jsonl", make_event_ids(3, stream))
    write_events(place.logs / "deeper" / "events-scoring-2-1.jsonl", make_event_ids(2, "deeper"))
    write_events(place.logs / "notes.jsonl", ["left"])
    outcome = place.ship_once(provisioned)
    assert outcome.status.counts == Counts(shipped=14)
    assert outcome.status.left_alone == ["notes.jsonl"]
    for stream in ("app", "health", "content"):
        assert count_stored_ids(provisioned, stream) == Counter(make_event_ids(3, stream))
    assert count_stored_ids(provisioned) == Counter(make_event_ids(3, "events") + make_event_ids(2, "deeper"))
    assert place.ship_once(provisioned).status.counts == Counts()


def test_document_is_the_line_plus_its_send_time(provisioned: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, ["a"], latency_seconds=0.1)
    place.ship_once(provisioned)
    count_stored_ids(provisioned)
    with provisioned.build_client() as client:
        found = client.search(
            index=f"logs-inference.events-{provisioned.namespace}", fields=[{"field": "event.ingested"}]
        )
        (hit,) = found["hits"]["hits"]
    document = hit["_source"]
    (indexed,) = hit["fields"]["event.ingested"]
    # Compared as moments: Elasticsearch removes trailing zeros of a fraction.
    assert datetime.fromisoformat(indexed) == datetime.fromisoformat(document.pop("event.ingested"))
    assert document == orjson.loads(build_event_line("a", latency_seconds=0.1))


def test_only_permanently_refused_documents_are_dead_letters(provisioned: Cluster, place: ShipperDirs) -> None:
    good = [build_event_line(each) for each in make_event_ids(50)]
    bad = [
        b"{torn\n",
        b'{"event":{}}\n',
        build_event_line("e1", latency_seconds="slow"),
        build_event_line("e2", error="boom"),
        build_event_line("e3", **{"@timestamp": "yesterday"}),
        b'{"event":{"id":"no time"}}\n',
        build_event_line("e5", **{"": 1}),
        build_event_line("x" * 600),
    ]
    place.logs.mkdir()
    place.events.write_bytes(b"\n".join([b"".join(good[:25]), b"".join(bad), b"".join(good[25:])]))
    outcome = place.ship_once(provisioned)
    assert outcome.status.counts == Counts(shipped=50, dead_lettered=len(bad))
    assert count_stored_ids(provisioned) == Counter(make_event_ids(50))
    assert sorted(letter["line"].encode() + b"\n" for letter in place.dead_letters) == sorted(bad)
    content = place.events.read_bytes()
    for letter in place.dead_letters:
        assert content[letter["offset"] :].startswith(letter["line"].encode())
        assert letter["reason"]


def test_shipping_without_the_state_makes_no_duplicates(provisioned: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, make_event_ids(100))
    place.ship_once(provisioned)
    (place.state / "positions.json").unlink()
    assert place.ship_once(provisioned).status.counts == Counts(duplicates=100)
    assert count_stored_ids(provisioned) == Counter(make_event_ids(100))


@pytest.mark.parametrize("lost", ["deleted", "corrupt"])
def test_shipping_after_a_rollover_makes_no_duplicates(lost: str, provisioned: Cluster, place: ShipperDirs) -> None:
    """An id is unique only within one backing index, so Elasticsearch itself would store it again."""
    write_events(place.events, make_event_ids(100))
    place.ship_once(provisioned)
    roll_over(provisioned)
    write_events(place.events, make_event_ids(100, "later"))
    place.ship_once(provisioned)
    roll_over(provisioned)
    write_events(place.events, make_event_ids(50, "new"))
    path = place.state / "positions.json"
    path.unlink() if lost == "deleted" else path.write_bytes(b"?")
    outcome = place.ship_once(provisioned, replace(QUICK, bulk_events=30))
    assert outcome.status.counts == Counts(shipped=50, duplicates=200)
    assert count_stored_ids(provisioned) == Counter(
        make_event_ids(100) + make_event_ids(100, "later") + make_event_ids(50, "new")
    )
    assert ("is corrupt" in place.said.getvalue()) == (lost == "corrupt")


def test_ship_waits_for_a_blocked_index(provisioned: Cluster, place: ShipperDirs) -> None:
    index = f"logs-inference.events-{provisioned.namespace}"
    write_events(place.events, make_event_ids(10))
    with provisioned.build_client() as client:
        client.indices.put_settings(index=index, settings={"index.blocks.write": True})
        with place.run_shipper(provisioned):
            wait_until(lambda: "cluster_block_exception" in place.said.getvalue(), what="the reason")
            client.indices.put_settings(index=index, settings={"index.blocks.write": None})
            wait_until(lambda: place.offsets.get(place.events.name, 0) > 0, what="the lines' answer")
    assert count_stored_ids(provisioned) == Counter(make_event_ids(10))


def test_growing_and_new_files_are_shipped(provisioned: Cluster, place: ShipperDirs) -> None:
    with place.run_shipper(provisioned):
        write_events(place.events, make_event_ids(5))
        wait_until(lambda: place.offsets.get(place.events.name), what="the first lines")
        second = write_events(place.logs / "later" / "events-scoring-1-2.jsonl", make_event_ids(5, "b"))
        write_events(place.events, make_event_ids(5, "c"))
        name = second.relative_to(place.logs).as_posix()
        sizes = {place.events.name: place.events.stat().st_size, name: second.stat().st_size}
        wait_until(lambda: place.offsets == sizes, what="all lines")
    assert count_stored_ids(provisioned) == Counter(make_event_ids(5) + make_event_ids(5, "b") + make_event_ids(5, "c"))
    assert place.read_published() == {place.events.name: sizes[place.events.name]}
    assert place.read_published("later") == {second.name: sizes[name]}


def test_partial_line_is_pending(provisioned: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, make_event_ids(3))
    whole = place.events.stat().st_size
    with place.events.open("ab") as file:
        file.write(build_event_line("half")[:-1])
    outcome = place.ship_once(provisioned)
    assert (outcome.status.counts, outcome.status.pending) == (Counts(shipped=3), 1)
    assert place.offsets == {place.events.name: whole}
    with place.events.open("ab") as file:
        file.write(b"\n")
    outcome = place.ship_once(provisioned)
    assert (outcome.status.counts, outcome.status.pending) == (Counts(shipped=1), 0)


def test_hundreds_of_files_are_forgotten_when_they_are_deleted(provisioned: Cluster, place: ShipperDirs) -> None:
    paths = [
        write_events(place.logs / f"events-scoring-1-{number:04d}.jsonl", make_event_ids(5, f"f{number:03d}-"))
        for number in range(300)
    ]
    with place.run_shipper(provisioned):
        wait_until(lambda: len(place.offsets) == 300 and all(place.offsets.values()), 30, "all files")
        assert len(list(Path("/proc/self/fd").iterdir())) < 200
        for path in paths[1:]:
            path.unlink()
        wait_until(lambda: place.offsets.keys() == {paths[0].name}, what="the deleted files' positions to go")
    assert count_stored_ids(provisioned).total() == 1_500
    assert place.read_published().keys() == {paths[0].name}
    assert "disappeared" not in place.said.getvalue()


def test_unwritable_log_folder_is_logged_once(provisioned: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, make_event_ids(3))
    (place.logs / ".shipped").write_text("in the way")
    place.ship_once(provisioned)
    write_events(place.events, make_event_ids(3, "b"))
    with place.run_shipper(provisioned):
        for prefix in ("c", "d", "f"):
            write_events(place.events, make_event_ids(3, prefix))
            wait_until(
                lambda: place.offsets.get(place.events.name, 0) == place.events.stat().st_size, what="the lines' answer"
            )
    assert count_stored_ids(provisioned).total() == 15
    assert place.said.getvalue().count("cannot publish offsets") == 2, "once for each of the two shippers"


def test_stats_file_contains_the_current_status(provisioned: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, make_event_ids(20))
    with place.events.open("ab") as file:
        file.write(b"{bad\n{half")
    stats = place.root / "stats.json"
    with place.open_shipper(provisioned, stats_file=stats) as shipper:
        shipper.run(once=True)
    status = orjson.loads(stats.read_bytes())
    assert {key: status[key] for key in ("shipped", "duplicates", "dead_lettered", "pending", "behind_bytes")} == {
        "shipped": 20,
        "duplicates": 0,
        "dead_lettered": 1,
        "pending": 1,
        "behind_bytes": 0,
    }
