"""The shipper's own health lines: their content, their delivery, and no effect on other lines."""

import errno
import os
import signal
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from inferlog.sinks.file import FileSink
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.ship.status import Counts
from tests.support.faulty_store import Fault, FaultyStore, build_refused_item
from tests.support.polling import wait_until
from tests.support.shipping import QUICK, ShipperDirs, count_stored_ids, make_event_ids, ship_command, write_events

BEATING = replace(QUICK, heartbeat_seconds=0.1)
ONLY_THE_LAST = replace(QUICK, heartbeat_seconds=3600.0)
IDS = make_event_ids(20)


def list_health_files(place: ShipperDirs) -> list[Path]:
    return sorted(place.logs.glob("health-inferlog_shipper-*.jsonl"))


def read_written_lines(place: ShipperDirs) -> list[dict[str, Any]]:
    """Return the shippers' lines in the folder, in the order of their timestamps."""
    whole = [line for path in list_health_files(place) for line in path.read_bytes().split(b"\n")[:-1]]
    return sorted(map(orjson.loads, whole), key=lambda line: str(line["@timestamp"]))


def read_event_reasons(line: dict[str, Any]) -> list[str]:
    """Return the line's reasons for waiting events. The shipper's own lines may wait also."""
    return [reason for reason in line["shipper"].get("waiting", []) if reason.startswith("events: ")]


def read_stored_lines(faulty: FaultyStore) -> list[dict[str, Any]]:
    with faulty.lock:
        documents = [orjson.loads(line) for line in faulty.documents.values()]
    return [document for document in documents if document["event"]["dataset"] == "inference.health"]


def test_health_line_contains_the_status(faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs) -> None:
    faulty.faults.append(Fault(status=503))
    write_events(place.events, IDS)
    with place.events.open("ab") as file:
        file.write(b"{bad\n")

    def find_complete_line() -> dict[str, Any] | None:
        found = [
            line
            for line in read_stored_lines(faulty)
            if line["shipper"]["refused"] and not line["shipper"]["behind_bytes"]
        ]
        return found[0] if found else None

    with place.run_shipper(faulty_cluster, BEATING):
        line = wait_until(find_complete_line, what="a line about it in the store")
    assert line is not None
    assert line["message"] == "shipper_heartbeat"
    assert line["log"] == {"level": "info", "logger": "inferlog_ops.ship"}
    assert line["service"]["name"] == "inferlog-shipper"
    assert line["service"]["instance"]["id"] in list_health_files(place)[0].name
    assert line["shipper"].pop("shipped") >= 20  # includes earlier health lines
    skew = line["shipper"].pop("clock_skew_seconds", 0.0)  # absent until a line was compared
    assert skew == pytest.approx(0.0, abs=1.0)
    assert line["shipper"] == {
        "id": (place.state / "id").read_text().strip(),
        "duplicates": 0,
        "refused": 1,
        "lost_bytes": 0,
        "retries": 1,
        "behind_events": 0,
        "behind_bytes": 0,
        "behind_seconds": 0.0,
    }


def test_own_health_lines_do_not_count_as_behind(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    with place.run_shipper(faulty_cluster, replace(BEATING, heartbeat_seconds=0.5)):
        wait_until(lambda: len(read_stored_lines(faulty)) >= 3, what="three lines in the store")
    later = read_written_lines(place)[1:]
    assert 0 in {line["shipper"]["behind_bytes"] for line in later}


def test_health_line_contains_the_reasons_for_waiting(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    words = "no master: https://user:secret@10.0.0.1 " + "x" * 1_000
    faulty.always = lambda _stream, _ids: Fault(item=lambda _: build_refused_item(503, "unavailable", words))
    write_events(place.events, IDS)
    with place.run_shipper(faulty_cluster, BEATING):
        lines = wait_until(
            lambda: [
                line
                for line in read_written_lines(place)
                if read_event_reasons(line) and line["shipper"]["retries"] > 1
            ],
            what="a line about it",
        )
    waiting = lines[0]
    (reason,) = read_event_reasons(waiting)
    others = [each for each in waiting["shipper"]["waiting"] if each != reason]
    assert all(each.startswith("health: answered 503") for each in others)
    assert reason.startswith("events: answered 503: unavailable: no master: https://")
    assert "secret" not in reason
    assert len(reason) < 400
    assert waiting["log"]["level"] == "warning"
    assert waiting["shipper"]["behind_bytes"] >= place.events.stat().st_size
    assert waiting["shipper"]["behind_seconds"] > 0
    assert "behind_events" not in waiting["shipper"], "the length of a line is unknown"


def test_health_lines_of_an_outage_are_shipped_after_it(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    faulty.always = lambda _stream, _ids: Fault(status=503)
    with place.run_shipper(faulty_cluster, BEATING):
        wait_until(lambda: len(read_written_lines(place)) >= 3, what="lines in the folder")
    assert read_stored_lines(faulty) == []
    faulty.always = lambda _stream, _ids: None
    place.ship_once(faulty_cluster)
    assert {line["event"]["id"] for line in read_stored_lines(faulty)} == {
        line["event"]["id"] for line in read_written_lines(place)
    }


def test_last_health_line_counts_everything_and_is_shipped(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    with place.run_shipper(faulty_cluster, ONLY_THE_LAST):
        wait_until(lambda: place.state.joinpath("positions.json").exists(), what="the shipper's start")
        write_events(place.events, IDS)
    (line,) = read_stored_lines(faulty)
    assert (line["message"], line["shipper"]["shipped"]) == ("shipper_stopped", 20)
    (file,) = list_health_files(place)
    assert place.offsets == {path.name: path.stat().st_size for path in (place.events, file)}
    assert place.read_published() == place.offsets


def test_once_run_ends_with_one_uncounted_health_line(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    write_events(place.events, IDS)
    assert place.ship_once(faulty_cluster, ONLY_THE_LAST).status.counts == Counts(shipped=20)
    assert [line["shipper"]["shipped"] for line in read_stored_lines(faulty)] == [20]
    assert place.ship_once(faulty_cluster, ONLY_THE_LAST).status.counts == Counts()
    assert len(read_written_lines(place)) == 1, "a run without lines writes no health line"


def test_once_run_ends_when_the_store_is_down(faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs) -> None:
    faulty.always = lambda _stream, _ids: Fault(status=503)
    write_events(place.events, IDS)
    with place.open_shipper(faulty_cluster, ONLY_THE_LAST) as shipper:
        outcome = shipper.run(once=True, timeout_seconds=3.0)  # enough for a first answer
    assert outcome.timed_out
    (line,) = read_written_lines(place)
    assert line["shipper"]["waiting"]
    assert read_stored_lines(faulty) == []


def test_zero_seconds_disable_health_lines(faulty_cluster: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, IDS)
    place.ship_once(faulty_cluster, QUICK)
    assert list_health_files(place) == []


def test_two_shippers_of_one_folder_ship_each_others_health_lines_once(faulty: FaultyStore, place: ShipperDirs) -> None:
    cluster = Cluster(url=faulty.url, namespace="test")
    other = OtherState(place.root)
    with place.run_shipper(cluster, BEATING), other.run_shipper(cluster, BEATING):
        wait_until(lambda: len(read_stored_lines(faulty)) >= 6, what="lines of both")
    lines = read_written_lines(place)
    assert len({line["service"]["instance"]["id"] for line in lines}) == 2
    assert len({line["shipper"]["id"] for line in lines}) == 2
    assert max(faulty.stored.values()) == 1
    place.ship_once(cluster)
    assert faulty.stored.keys() == {line["event"]["id"] for line in lines}


class OtherState(ShipperDirs):
    @property
    def state(self) -> Path:
        return self.root / "other-state"


def test_missing_log_folder_is_not_created(faulty_cluster: Cluster, place: ShipperDirs) -> None:
    with place.open_shipper(faulty_cluster, BEATING) as shipper:
        place.logs.rmdir()
        shipper.run(once=False, timeout_seconds=0.5)
    assert not place.logs.exists()


@pytest.mark.parametrize("problem", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_shipping_continues_when_health_lines_cannot_be_written(
    problem: int, faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_sink: FileSink) -> None:
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(FileSink, "_open_next", refused)
    write_events(place.events, IDS)
    with place.run_shipper(faulty_cluster, BEATING):
        found = f"no health lines: cannot write to {place.logs}"
        wait_until(lambda: found in place.said.getvalue(), what="the reason in the status line")
        write_events(place.events, ["later"])
        wait_until(lambda: faulty.stored == Counter([*IDS, "later"]), what="the lines")
        monkeypatch.undo()
        wait_until(lambda: read_stored_lines(faulty), what="a line, once there is room")
        wait_until(lambda: found not in place.said.getvalue().splitlines()[-1], what="the all-clear")


def test_retention_deletes_only_files_of_shippers(faulty_cluster: Cluster, place: ShipperDirs) -> None:
    """Only the service itself deletes its files."""
    files = [place.events, place.logs / "health-inferlog_shipper-0-1.jsonl"]
    for number, path in enumerate(files):
        write_events(path, make_event_ids(3, f"f{number}-"))
        os.utime(path, (0, 0))
    place.ship_once(faulty_cluster, ONLY_THE_LAST)
    assert [path.exists() for path in files] == [True, False]


def test_ship_writes_health_lines_until_it_is_stopped(provisioned: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, IDS)
    command = ship_command(
        *("--from", place.logs, "--to", provisioned.url, "--state", place.state),
        *("--namespace", provisioned.namespace, "--heartbeat", "0.2"),
    )
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: len(read_written_lines(place)) >= 3, 30, "three lines")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
    lines = read_written_lines(place)
    assert count_stored_ids(provisioned, "health") == Counter(line["event"]["id"] for line in lines)
    assert lines[-1]["message"] == "shipper_stopped"
    with provisioned.build_client() as client:
        answer = client.esql.query(
            query=f"FROM logs-inference.health-{provisioned.namespace} | STATS shipped = MAX(shipper.shipped), "
            "refused = MAX(shipper.refused) BY shipper.id | LIMIT 10"
        )
    assert answer["values"] == [[lines[-1]["shipper"]["shipped"], 0, (place.state / "id").read_text().strip()]]
