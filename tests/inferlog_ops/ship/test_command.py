"""The command as a process: output, exit code, signals and state directory."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.ship.discovery import FileDiscovery
from tests.support.faulty_store import FaultyStore, build_error_body
from tests.support.polling import wait_until
from tests.support.shipping import ShipperDirs, build_event_line, make_event_ids, ship_command, write_events


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ship_command("--heartbeat", "0", *arguments), capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def start_ship(place: ShipperDirs, *arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a shipper whose stderr goes to a file, and end it after the block."""
    stderr = (place.root / "stderr").open("wb")
    command = ship_command("--from", place.logs, "--state", place.state, "--heartbeat", "0", *arguments)
    with stderr, subprocess.Popen(command, stderr=stderr, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def read_stderr(place: ShipperDirs) -> str:
    return (place.root / "stderr").read_text()


def wait_while_running(
    process: "subprocess.Popen[Any]", place: ShipperDirs, condition: Callable[[], object], what: str
) -> None:
    """Wait until *condition* is true, at most until *process* ends."""

    def check() -> object:
        assert process.poll() is None, read_stderr(place)
        return condition()

    wait_until(check, 20, what)


@pytest.fixture
def unused_url() -> Iterator[str]:
    """A URL whose port is reserved and has no listener."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A URL that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_once_prints_the_result_of_every_line(faulty: FaultyStore, place: ShipperDirs) -> None:
    write_events(place.events, make_event_ids(10))
    faulty.take("events", [(make_event_ids(1)[0], {})])
    with place.events.open("ab") as file:
        file.write(b"{bad\n" + build_event_line("half")[:-1])
    place.logs.joinpath("notes.txt").touch()
    done = run("--from", place.logs, "--to", faulty.url, "--state", place.state, "--once", "--json")
    assert done.returncode == 0, done.stderr
    assert orjson.loads(done.stdout) == {
        "shipped": 9,
        "duplicates": 1,
        "dead_lettered": 1,
        "lost_files": 0,
        "lost_bytes": 0,
        "behind_bytes": 0,
        "behind_events": 0,
        "behind_seconds": 0.0,
        "pending": 1,
        "retries": 0,
        "waiting": [],
        "clock_skew_seconds": None,
        "left_alone": ["notes.txt"],
        "no_health_lines": None,
    }
    assert "logs-inference.events-default/_bulk?require_data_stream=true" in faulty.bulk_paths[-1]


def test_start_on_an_empty_or_missing_folder_keeps_the_offsets(faulty: FaultyStore, place: ShipperDirs) -> None:
    def ship(logs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run("--from", logs, "--to", faulty.url, "--state", place.state, *arguments)

    write_events(place.events, make_event_ids(10))
    assert ship(place.logs, "--once").returncode == 0
    offsets = place.offsets
    (place.root / "empty").mkdir()
    assert ship(place.root / "empty", "--once").returncode == 0
    assert place.offsets == offsets
    missing = ship(place.root / "missing", "--timeout", "1")
    assert missing.returncode == 0
    assert "cannot read the folder" in missing.stderr
    assert place.offsets == offsets
    faulty.roll_over()
    assert ship(place.logs, "--once").stdout == "shipped 0 · behind by 0 · refused 0\n"


def test_shipper_that_is_killed_at_its_start_keeps_the_offsets(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_events(place.events, make_event_ids(10))
    place.ship_once(faulty_cluster)
    before = place.offsets
    saved: list[dict[str, int]] = []
    poll = FileDiscovery.poll

    def wait_for_checkpoint(discovery: FileDiscovery) -> None:
        if not saved:
            (place.state / "positions.json").unlink()
            wait_until((place.state / "positions.json").exists, what="the first checkpoint")
            saved.append(place.offsets)
        poll(discovery)

    monkeypatch.setattr(FileDiscovery, "poll", wait_for_checkpoint)
    place.ship_once(faulty_cluster)
    assert saved == [before]


def test_namespace_is_part_of_the_stream_name(faulty: FaultyStore, place: ShipperDirs) -> None:
    write_events(place.events, ["a"])
    done = run("--from", place.logs, "--url", faulty.url, "--state", place.state, "--once", "--namespace", "blue")
    assert done.returncode == 0, done.stderr
    assert "/logs-inference.events-blue/" in faulty.bulk_paths[-1]
    assert done.stdout == "shipped 1 · behind by 0 · refused 0\n"


def test_unused_home_may_be_unreadable(faulty: FaultyStore, place: ShipperDirs) -> None:
    """A directory in place of a file replaces missing permissions, which do not stop root."""
    write_events(place.events, ["a"])
    (place.root / "home" / "engine" / "engine.lock").mkdir(parents=True)
    done = run(
        *("--home", place.root / "home", "--from", place.logs, "--to", faulty.url, "--state", place.state, "--once")
    )
    assert done.returncode == 0, done.stderr


def test_drain_ships_lines_written_right_before_the_signal(faulty: FaultyStore, place: ShipperDirs) -> None:
    write_events(place.events, ["first"])
    with start_ship(place, "--to", faulty.url, "--drain", "30") as process:
        wait_while_running(process, place, lambda: faulty.documents, "the first document")
        write_events(place.logs / "events-scoring-2-1.jsonl", make_event_ids(50))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, read_stderr(place)
    assert set(faulty.documents) == {"first", *make_event_ids(50)}


def test_drain_reports_the_lines_before_it_too(faulty: FaultyStore, place: ShipperDirs) -> None:
    write_events(place.events, make_event_ids(10))
    command = ship_command(
        *("--from", place.logs, "--to", faulty.url, "--state", place.state, "--heartbeat", "0"),
        *("--drain", "30", "--json"),
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        wait_while_running(process, place, lambda: place.offsets.get(place.events.name), "the lines")
        process.terminate()
        stdout, _ = process.communicate(timeout=60)
    assert orjson.loads(stdout)["shipped"] == 10


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_ship_works_with_closed_standard_streams(closed: str, faulty: FaultyStore, place: ShipperDirs) -> None:
    write_events(place.events, ["a"])
    with place.events.open("ab") as file:
        file.write(b"{bad\n")
    before = place.events.read_bytes()
    command = ship_command(
        *("--from", place.logs, "--to", faulty.url, "--state", place.state, "--once"),
        *("--stats-file", place.root / "stats.json"),
    )
    done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], timeout=60, check=False)
    assert done.returncode == 0
    assert "a" in faulty.stored
    assert place.events.read_bytes() == before
    assert len(place.dead_letters) == 1
    assert place.offsets[place.events.name] == len(before)
    assert (place.state / "lock").read_text().strip().isdigit()


def test_drain_that_ends_too_early_exits_with_1_and_reports_it(unused_url: str, place: ShipperDirs) -> None:
    write_events(place.events, ["a"])
    with start_ship(place, "--to", unused_url, "--drain", "0.5") as process:
        wait_while_running(process, place, lambda: "Connection refused" in read_stderr(place), "the first attempt")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 1
    assert "some lines were not shipped before the timeout of 0.5 s" in read_stderr(place)


@pytest.mark.parametrize("ending", ["--once", "--drain"])
def test_run_fails_when_a_folder_cannot_be_read(ending: str, faulty: FaultyStore, place: ShipperDirs) -> None:
    write_events(place.events, ["a"])
    write_events(place.logs / "closed" / "events-scoring-2-1.jsonl", ["b"])
    (place.logs / "closed").chmod(0)
    # Root ignores file modes unless it gives up these capabilities.
    unprivileged = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    options = ["--once"] if ending == "--once" else ["--drain", "30"]
    command = ship_command(
        *("--from", place.logs, "--to", faulty.url, "--state", place.state, "--heartbeat", "0"), *options
    )
    try:
        with subprocess.Popen([*unprivileged, *command], stderr=subprocess.PIPE, text=True) as process:
            if ending == "--drain":
                wait_while_running(process, place, lambda: place.offsets.get(place.events.name), "the readable line")
                process.terminate()
            _, stderr = process.communicate(timeout=60)
    finally:
        (place.logs / "closed").chmod(0o755)
    assert process.returncode == 1
    assert "some lines were not shipped: shipped" in stderr
    assert f"cannot read the folder {place.logs / 'closed'}: Permission denied" in stderr
    assert faulty.stored.keys() == {"a"}


def test_drain_succeeds_without_a_log_folder(faulty: FaultyStore, place: ShipperDirs) -> None:
    command = ship_command("--from", place.logs, "--to", faulty.url, "--state", place.state, "--drain", "30")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        wait_while_running(process, place, (place.state / "positions.json").exists, "the offsets")
        process.terminate()
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr


def test_once_gives_up_after_the_timeout(unused_url: str, place: ShipperDirs) -> None:
    write_events(place.events, ["a"])
    done = run("--from", place.logs, "--to", unused_url, "--state", place.state, "--once", "--json", "--timeout", "2.5")
    assert done.returncode == 1
    assert "some lines were not shipped before the timeout of 2.5 s" in done.stderr
    assert f"waits: events: no answer from {unused_url}: [Errno 111] Connection refused" in done.stderr
    assert orjson.loads(done.stdout)["shipped"] == 0


def test_once_fails_when_documents_are_not_searchable_in_time(faulty: FaultyStore, place: ShipperDirs) -> None:
    write_events(place.events, ["a"])
    faulty.refresh_faults.extend([(503, build_error_body("unavailable_shards_exception", "for a test", 503))] * 1_000)
    done = run("--from", place.logs, "--to", faulty.url, "--state", place.state, "--once", "--timeout", "2.5")
    assert done.returncode == 1
    assert (
        "all lines were shipped, but some may not be searchable yet: events: Elasticsearch answered 503" in done.stderr
    )
    assert done.stdout == "shipped 1 · behind by 0 · refused 0\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--once", "--from", "/nowhere"], "the log folder /nowhere does not exist"),
        (["--once", "--from", "/dev/null"], "the log folder /dev/null is not a directory"),
        (["--to", "localhost:9200"], "expected http(s)://host:port"),
        (["--to", "http://user:secret@[::1"], "expected http(s)://host:port"),
        (["--namespace", "Not-Ours"], "the namespace is 'Not-Ours'"),
        (["--state", "/proc/nowhere"], "give another --state"),
    ],
)
def test_invalid_option_is_one_sentence(arguments: list[str], words: str, unused_url: str, place: ShipperDirs) -> None:
    place.logs.mkdir()
    done = run("--from", place.logs, "--to", unused_url, "--state", place.state, *arguments)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_ship_waits_for_a_missing_log_folder(faulty: FaultyStore, place: ShipperDirs) -> None:
    with start_ship(place, "--to", faulty.url) as process:
        wait_while_running(process, place, lambda: "cannot read the folder" in read_stderr(place), "the reason")
        write_events(place.events, ["a"])
        wait_while_running(process, place, lambda: "a" in faulty.stored, "the line in the store")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ships_and_saves_the_written_lines(
    signal_number: signal.Signals, faulty: FaultyStore, place: ShipperDirs
) -> None:
    write_events(place.events, make_event_ids(100))
    with start_ship(place, "--to", faulty.url) as process:
        wait_while_running(process, place, lambda: place.offsets.get(place.events.name), "the first lines")
        write_events(place.events, make_event_ids(50, "last"))
        process.send_signal(signal_number)
        assert process.wait(10) == 0
    assert faulty.stored.total() == 150
    assert place.offsets == {place.events.name: place.events.stat().st_size}
    assert place.read_published() == place.offsets


@pytest.mark.parametrize("store", ["unused_url", "silent_url"])
def test_signal_ends_ship_in_time_when_the_store_is_down(
    store: str, place: ShipperDirs, request: pytest.FixtureRequest
) -> None:
    write_events(place.events, make_event_ids(5_000))
    with start_ship(place, "--to", request.getfixturevalue(store)) as process:
        wait_while_running(process, place, lambda: place.offsets, "the shipper's start")
        process.terminate()
        assert process.wait(15) == 0
    assert place.offsets == {place.events.name: 0}


def test_once_fails_when_it_is_stopped_early(unused_url: str, place: ShipperDirs) -> None:
    write_events(place.events, make_event_ids(10))
    with start_ship(place, "--to", unused_url, "--once") as process:
        wait_while_running(process, place, lambda: place.offsets, "the shipper's start")
        process.terminate()
        assert process.wait(10) == 1
    assert "some lines were not shipped before the shipper was stopped" in read_stderr(place)


def test_unreadable_offset_file_is_one_sentence(faulty_cluster: Cluster, place: ShipperDirs) -> None:
    """A directory in place of the file replaces missing permissions, which do not stop root."""
    (place.state / "positions.json").mkdir(parents=True)
    with pytest.raises(OperatorError, match=r"positions\.json: Is a directory.*another --state"):
        place.ship_once(faulty_cluster)


def test_second_shipper_with_the_same_state_directory_is_rejected(faulty_cluster: Cluster, place: ShipperDirs) -> None:
    with place.open_shipper(faulty_cluster), pytest.raises(OperatorError, match=r"another shipper \(pid \d+\) uses"):
        place.ship_once(faulty_cluster)
    place.ship_once(faulty_cluster)


def test_two_shippers_of_one_folder_store_nothing_twice_over_a_rollover(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    second = ShipperDirs(place.root / "second")
    second.root.mkdir()
    (second.root / "logs").symlink_to(place.logs)
    write_events(place.events, ["a"])
    with place.run_shipper(faulty_cluster), start_ship(second, "--to", faulty.url) as process:
        wait_while_running(process, second, lambda: "has also shipped" in read_stderr(second), "the other shipper")
        wait_while_running(process, second, lambda: second.offsets == place.offsets, "the first line")
        process.send_signal(signal.SIGSTOP)
        write_events(place.events, make_event_ids(50))
        wait_until(lambda: place.offsets[place.events.name] == place.events.stat().st_size, what="the other lines")
        faulty.roll_over()
        process.send_signal(signal.SIGCONT)
        wait_while_running(process, second, lambda: second.offsets == place.offsets, "the same offset")
    assert max(faulty.stored.values()) == 1


def test_state_directory_without_locks_is_rejected_with_advice(
    faulty_cluster: Cluster, place: ShipperDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OperatorError, match=r"without locks \(No locks available\).*give a --state on a local disk"):
        place.ship_once(faulty_cluster)


def test_shipper_id_survives_a_restart(faulty_cluster: Cluster, place: ShipperDirs) -> None:
    for prefix in ("a", "b"):
        write_events(place.events, make_event_ids(1, prefix))
        place.ship_once(faulty_cluster)
    assert place.read_published() == {place.events.name: place.events.stat().st_size}


def test_shipping_continues_when_offsets_cannot_be_saved(
    faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs
) -> None:
    in_the_way = place.state / ".positions.json.new"
    in_the_way.mkdir(parents=True)
    write_events(place.events, make_event_ids(3))
    with place.run_shipper(faulty_cluster):
        wait_until(lambda: "offsets cannot be saved" in place.said.getvalue(), what="the reason")
        write_events(place.events, make_event_ids(3, "b"))
        wait_until(lambda: faulty.stored.total() == 6, what="all lines")
        in_the_way.rmdir()
        wait_until(lambda: place.offsets, what="the positions")
    assert place.offsets == {place.events.name: place.events.stat().st_size}
