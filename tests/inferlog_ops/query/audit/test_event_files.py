"""Event files of several services: all of them, in the order of the chains, and never fewer without an error."""

import errno
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from inferlog.audit import Hasher
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.audit.chain import Fault, HeartbeatCount, verify
from inferlog_ops.query.audit.event_files import EventFiles
from inferlog_ops.query.run import FIRST_TIME, LAST_TIME
from tests.support import commands
from tests.support.chains import build_chain

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def write_lines(path: Path, documents: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE) for document in documents))


def build_events(count: int, instance: str = "a") -> list[dict[str, Any]]:
    return build_chain((NOW + timedelta(seconds=number) for number in range(count)), instance=instance)


def read_all(directory: Path) -> list[dict[str, Any]]:
    return list(EventFiles(directory).read_events(FIRST_TIME, LAST_TIME))


def test_events_are_sorted_by_instance_and_sequence_over_all_files(tmp_path: Path) -> None:
    first, second = build_events(7, "a"), build_events(5, "b")
    write_lines(tmp_path / "x" / "events-1.jsonl", [*second[3:], *first[4:]])
    write_lines(tmp_path / "events-2.jsonl", [first[3], first[1]])
    write_lines(tmp_path / "events-3.jsonl", [*second[:3], first[2], first[0]])
    write_lines(tmp_path / "app-1.jsonl", [{"message": "no event"}])
    assert read_all(tmp_path) == [*first, *second]
    within = EventFiles(tmp_path).read_events(NOW + timedelta(seconds=1), NOW + timedelta(seconds=3))
    assert list(within) == [*first[1:3], *second[1:3]]


def test_last_heartbeat_of_each_instance_is_counted(tmp_path: Path) -> None:
    beats = [
        {"@timestamp": NOW.isoformat(), "service": {"instance": {"id": name}}, "events_written": written}
        for name, written in (("a", 3), ("a", 4), ("b", 1))
    ]
    write_lines(tmp_path / "health-1.jsonl", beats)
    assert EventFiles(tmp_path).read_counts(FIRST_TIME, LAST_TIME) == {
        "a": HeartbeatCount(written=4),
        "b": HeartbeatCount(written=1),
    }


@pytest.fixture
def closed_folder(tmp_path: Path) -> Iterator[Path]:
    """Return a subdirectory with events that this user may not read."""
    write_lines(tmp_path / "logs" / "events-1.jsonl", build_events(1, "a"))
    folder = tmp_path / "logs" / "closed"
    write_lines(folder / "events-2.jsonl", build_events(1, "b"))
    folder.chmod(0)
    yield folder
    folder.chmod(0o700)


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root reads everything without setpriv"
)
def test_unreadable_subdirectory_is_an_error(closed_folder: Path) -> None:
    command = [sys.executable, "-m", "inferlog_ops.cli.main", "audit", "verify", "--files", str(closed_folder.parent)]
    without_rights = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run([*without_rights, *command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"inferlog: {closed_folder}: Permission denied\n"


def test_directory_without_event_files_is_an_error(tmp_path: Path) -> None:
    write_lines(tmp_path / "health-1.jsonl", [])
    with pytest.raises(OperatorError, match=r"and its subdirectories have no file events-\*\.jsonl") as raised:
        read_all(tmp_path)
    assert raised.value.exit_code == 2


def test_lines_that_are_not_json_are_counted(tmp_path: Path) -> None:
    write_lines(tmp_path / "events-1.jsonl", build_events(2))
    with (tmp_path / "events-1.jsonl").open("ab") as lines:
        lines.write(b'[]\n\xff\n{"@timest')
    done = commands.run_here("audit", "verify", "--files", tmp_path)
    assert done.returncode == 0
    assert "2 events of 1 instance verified\n3 lines not valid JSON, cut short or damaged" in done.stdout


def test_file_that_is_cut_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "events-1.jsonl"
    write_lines(path, build_events(5_000))
    events = EventFiles(tmp_path).read_events(FIRST_TIME, LAST_TIME)
    next(events)
    os.truncate(path, 1_000)
    with pytest.raises(OperatorError, match=r"events-1\.jsonl was changed while it was read"):
        list(events)


def test_event_with_a_time_without_offset_is_a_finding(tmp_path: Path) -> None:
    (event,) = build_events(1)
    write_lines(tmp_path / "events-1.jsonl", [event | {"@timestamp": "2026-11-23T06:00:00"}])
    (found,) = verify(EventFiles(tmp_path).read_events(FIRST_TIME, LAST_TIME), Hasher(b"")).findings
    assert found.fault is Fault.UNREADABLE


def test_memory_is_a_fraction_of_the_size_of_the_files(tmp_path: Path) -> None:
    path = tmp_path / "events-1.jsonl"
    write_lines(path, [event | {"message": "x" * 2_000} for event in build_events(3_000)])
    tracemalloc.start()
    try:
        assert sum(1 for _ in EventFiles(tmp_path).read_events(FIRST_TIME, LAST_TIME)) == 3_000
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < path.stat().st_size / 4


def test_line_that_is_being_written_is_the_end_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "events-scoring-1-1.jsonl"
    path.write_bytes(b'{"event":{"sequence":0}}\n{"event":{"sequence":1')
    files = EventFiles(tmp_path)
    assert len(list(files.read_events(FIRST_TIME, LAST_TIME))) == 1
    assert files.unreadable_lines == 1


def test_file_that_retention_deletes_meanwhile_is_left_out(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"events-scoring-1-{number}.jsonl").write_bytes(b'{"event":{"sequence":%d}}\n' % number)
    events = EventFiles(tmp_path).read_events(FIRST_TIME, LAST_TIME)
    assert next(events)["event"]["sequence"] == 0
    (tmp_path / "events-scoring-1-1.jsonl").unlink()
    assert list(events) == []


def test_folder_of_a_file_system_s_checks_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def scan_readable(folder: str) -> Any:
        if Path(folder).name == "lost+found":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return scan(folder)

    (tmp_path / "lost+found").mkdir()
    (tmp_path / "events-scoring-1-1.jsonl").write_bytes(b'{"event":{"sequence":0}}\n')
    monkeypatch.setattr(os, "scandir", scan_readable)
    assert len(list(EventFiles(tmp_path).read_events(FIRST_TIME, LAST_TIME))) == 1
