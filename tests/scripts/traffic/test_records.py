import json
import os
import re
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inferlog_traffic.exchange import RequestOutcome
from inferlog_traffic.records import RecordFile, RequestRecord


def record(correlation_id: str = "run-steady-0-1-1") -> RequestRecord:
    return RequestRecord(
        correlation_id=correlation_id,
        caller="steady",
        route="/v1/chat/completions",
        model="smollm2",
        intended_at=datetime(2026, 11, 23, 6, 15, 0, 123456, tzinfo=UTC),
        sent_after_seconds=0.00012345678,
        first_token_after_seconds=None,
        ended_after_seconds=1.5,
        status_code=200,
        outcome=RequestOutcome.ANSWERED,
    )


def test_record_is_one_line_of_json() -> None:
    line = record().to_line()
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "correlation_id": "run-steady-0-1-1",
        "caller": "steady",
        "route": "/v1/chat/completions",
        "model": "smollm2",
        "intended_at": "2026-11-23T06:15:00.123456Z",
        "sent_after_seconds": 0.000123,
        "first_token_after_seconds": None,
        "ended_after_seconds": 1.5,
        "status_code": 200,
        "outcome": "answered",
    }


def append_many(path: Path, writer: int) -> None:
    file = RecordFile(path)
    for number in range(500):
        file.append(record(f"run-{writer}-{number}"))
    file.close()


def test_several_writers_leave_whole_lines_in_one_file(tmp_path: Path) -> None:
    """Threads are enough: each opens the file itself, like a process."""
    path = tmp_path / "results" / "records.jsonl"
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda writer: append_many(path, writer), range(3)))
    ids = [json.loads(line)["correlation_id"] for line in path.read_text().splitlines()]
    assert sorted(ids) == sorted(f"run-{writer}-{number}" for writer in range(3) for number in range(500))


def test_record_file_keeps_its_content(tmp_path: Path) -> None:
    for number in range(2):
        file = RecordFile(tmp_path / "records.jsonl")
        file.append(record(f"run-{number}"))
        file.close()
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 2


@pytest.fixture
def little_room() -> Iterator[None]:
    """Limit the size of files to one record."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(record().to_line()) + 10, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_raises(little_room: None, tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "records.jsonl")
    file.append(record())
    with pytest.raises(OSError, match="only 10 of [0-9]+ bytes of a record were written"):
        file.append(record())
    with pytest.raises(OSError, match="too large"):
        file.append(record())
    file.close()


def test_pipe_without_reader_is_rejected_without_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe"):
        RecordFile(tmp_path / "pipe")


def test_device_is_rejected() -> None:
    with pytest.raises(OSError, match="not a regular file: '/dev/full'"):
        RecordFile(Path("/dev/full"))


def test_page_about_the_load_explains_every_key_and_outcome() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "traffic.md").read_text()
    section = page.partition("## Records")[2]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)) == set(json.loads(record().to_line()))
    outcomes = section.partition("| `outcome` |")[2].partition("\n")[0]
    assert set(re.findall(r"`([a-z]+)`", outcomes)) == set(RequestOutcome)
