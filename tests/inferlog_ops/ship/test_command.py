"""The command as another program starts it: its output, its exit code, its signals, its directory."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from tests.support.faulty_store import FaultyStore, error_body
from tests.support.polling import wait_until
from tests.support.shipping import Place, event_ids, event_line, ship_command, write_events


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ship_command("--heartbeat", "0", *arguments), capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def running(place: Place, *arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a shipper whose stderr goes to a file, and see to it that it has ended after the block."""
    stderr = (place.root / "stderr").open("wb")
    command = ship_command("--from", place.logs, "--state", place.state, "--heartbeat", "0", *arguments)
    with stderr, subprocess.Popen(command, stderr=stderr, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def said(place: Place) -> str:
    return (place.root / "stderr").read_text()


def wait_while_running(
    process: "subprocess.Popen[bytes]", place: Place, condition: Callable[[], object], what: str
) -> None:
    """Wait until *condition* holds, at most for as long as *process* lives."""

    def holds() -> object:
        assert process.poll() is None, said(place)
        return condition()

    wait_until(holds, 20, what)


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nothing listens, nor anybody else begins to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silence() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_once_prints_what_became_of_every_line(faulty: FaultyStore, place: Place) -> None:
    write_events(place.events, event_ids(10))
    faulty.take("events", [(event_ids(1)[0], {})])
    with place.events.open("ab") as file:
        file.write(b"{bad\n" + event_line("half")[:-1])
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


def test_the_namespace_is_part_of_the_streams_name(faulty: FaultyStore, place: Place) -> None:
    write_events(place.events, ["a"])
    done = run("--from", place.logs, "--url", faulty.url, "--state", place.state, "--once", "--namespace", "blue")
    assert done.returncode == 0, done.stderr
    assert "/logs-inference.events-blue/" in faulty.bulk_paths[-1]
    assert done.stdout == "shipped 1 · behind by 0 · refused 0\n"


def test_a_home_that_is_not_used_need_not_be_usable(faulty: FaultyStore, place: Place) -> None:
    """A directory in the place of a file stands for missing rights, which root does not miss."""
    write_events(place.events, ["a"])
    (place.root / "home" / "engine" / "engine.lock").mkdir(parents=True)
    done = run(
        *("--home", place.root / "home", "--from", place.logs, "--to", faulty.url, "--state", place.state, "--once")
    )
    assert done.returncode == 0, done.stderr


def test_once_gives_up_after_the_time_it_was_given(nobody: str, place: Place) -> None:
    write_events(place.events, ["a"])
    done = run("--from", place.logs, "--to", nobody, "--state", place.state, "--once", "--json", "--timeout", "2.5")
    assert done.returncode == 1
    assert "not all was shipped before the 2.5 s given were over" in done.stderr
    assert f"waits: events: no answer from {nobody}: [Errno 111] Connection refused" in done.stderr
    assert orjson.loads(done.stdout)["shipped"] == 0


def test_once_fails_when_documents_are_not_searchable_in_time(faulty: FaultyStore, place: Place) -> None:
    write_events(place.events, ["a"])
    faulty.refresh_faults.extend([(503, error_body("unavailable_shards_exception", "for a test", 503))] * 1_000)
    done = run("--from", place.logs, "--to", faulty.url, "--state", place.state, "--once", "--timeout", "2.5")
    assert done.returncode == 1
    assert "all was shipped, but not all may be searchable yet: events: the store answered 503" in done.stderr
    assert done.stdout == "shipped 1 · behind by 0 · refused 0\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--once", "--from", "/nowhere"], "there is no folder /nowhere"),
        (["--to", "localhost:9200"], "expected http(s)://host:port"),
        (["--to", "http://user:secret@[::1"], "expected http(s)://host:port"),
        (["--namespace", "Not-Ours"], "the namespace is 'Not-Ours'"),
        (["--state", "/proc/nowhere"], "give another --state"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], words: str, nobody: str, place: Place) -> None:
    place.logs.mkdir()
    done = run("--from", place.logs, "--to", nobody, "--state", place.state, *arguments)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_a_folder_that_is_not_there_yet_is_waited_for(faulty: FaultyStore, place: Place) -> None:
    with running(place, "--to", faulty.url) as process:
        wait_while_running(process, place, lambda: "cannot read the folder" in said(place), "the reason")
        write_events(place.events, ["a"])
        wait_while_running(process, place, lambda: "a" in faulty.stored, "the line in the store")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_what_was_written_shipped_and_saved(
    signal_number: signal.Signals, faulty: FaultyStore, place: Place
) -> None:
    write_events(place.events, event_ids(100))
    with running(place, "--to", faulty.url) as process:
        wait_while_running(process, place, lambda: place.positions.get(place.events.name), "the first lines")
        write_events(place.events, event_ids(50, "last"))
        process.send_signal(signal_number)
        assert process.wait(10) == 0
    assert faulty.stored.total() == 150
    assert place.positions == {place.events.name: place.events.stat().st_size}
    assert place.published() == place.positions


@pytest.mark.parametrize("store", ["nobody", "silence"])
def test_a_signal_ends_it_in_time_when_the_store_is_away(
    store: str, place: Place, request: pytest.FixtureRequest
) -> None:
    write_events(place.events, event_ids(5_000))
    with running(place, "--to", request.getfixturevalue(store)) as process:
        wait_while_running(process, place, lambda: place.positions, "the shipper's start")
        process.terminate()
        assert process.wait(15) == 0
    assert place.positions == {place.events.name: 0}


def test_a_single_run_that_is_ended_early_does_not_claim_to_be_done(nobody: str, place: Place) -> None:
    write_events(place.events, event_ids(10))
    with running(place, "--to", nobody, "--once") as process:
        wait_while_running(process, place, lambda: place.positions, "the shipper's start")
        process.terminate()
        assert process.wait(10) == 1
    assert "not all was shipped before it was ended" in said(place)


def test_a_position_file_that_may_not_be_read_is_one_sentence(faulty_cluster: Cluster, place: Place) -> None:
    """A directory in the place of the file stands for missing rights, which root does not miss."""
    (place.state / "positions.json").mkdir(parents=True)
    with pytest.raises(OperatorError, match=r"positions\.json: Is a directory.*another --state"):
        place.ship_once(faulty_cluster)


def test_one_state_directory_serves_one_shipper(faulty_cluster: Cluster, place: Place) -> None:
    with place.shipper(faulty_cluster), pytest.raises(OperatorError, match=r"another shipper \(pid \d+\) works with"):
        place.ship_once(faulty_cluster)
    place.ship_once(faulty_cluster)


def test_a_state_directory_without_locks_is_refused_with_the_way_out(
    faulty_cluster: Cluster, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OperatorError, match=r"without locks \(No locks available\).*give a --state on a local disk"):
        place.ship_once(faulty_cluster)


def test_a_shipper_is_known_by_the_same_name_after_a_restart(faulty_cluster: Cluster, place: Place) -> None:
    for prefix in ("a", "b"):
        write_events(place.events, event_ids(1, prefix))
        place.ship_once(faulty_cluster)
    assert place.published() == {place.events.name: place.events.stat().st_size}


def test_positions_that_cannot_be_saved_are_said_and_shipping_goes_on(
    faulty: FaultyStore, faulty_cluster: Cluster, place: Place
) -> None:
    in_the_way = place.state / ".positions.json.new"
    in_the_way.mkdir(parents=True)
    write_events(place.events, event_ids(3))
    with place.tailing(faulty_cluster):
        wait_until(lambda: "positions cannot be saved" in place.said.getvalue(), what="the reason")
        write_events(place.events, event_ids(3, "b"))
        wait_until(lambda: faulty.stored.total() == 6, what="all lines")
        in_the_way.rmdir()
        wait_until(lambda: place.positions, what="the positions")
    assert place.positions == {place.events.name: place.events.stat().st_size}
