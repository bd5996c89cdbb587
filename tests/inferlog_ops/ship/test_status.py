import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from inferlog_ops.ship.offsets import Fingerprint, TrackedFile
from inferlog_ops.ship.status import Counts, Display, ShipperStatus, estimate_events, find_oldest_age_seconds

NOW = datetime(2026, 11, 23, 6, 15, 30, tzinfo=UTC)


def track(path: Path, position: int = 0) -> TrackedFile:
    size = path.stat().st_size
    fingerprint = Fingerprint(device=1, inode=2)
    return TrackedFile(
        name=path.name, stream="events", fingerprint=fingerprint, size=size, acknowledged_offset=position
    )


def build_status(**fields: object) -> ShipperStatus:
    usual: dict[str, object] = {
        "counts": Counts(shipped=1_234_567),
        "behind_bytes": 0,
        "behind_events": 0,
        "behind_seconds": 0.0,
        "pending": 0,
        "retries": 0,
        "waiting": [],
        "clock_skew_seconds": None,
        "left_alone": [],
        "no_health_lines": None,
    }
    return ShipperStatus(**(usual | fields))  # type: ignore[arg-type]


def test_status_line_is_short_without_problems() -> None:
    assert build_status().as_line() == "shipped 1,234,567 · behind by 0 · refused 0"


def test_status_line_contains_every_problem() -> None:
    line = build_status(
        counts=Counts(shipped=5, duplicates=2, dead_lettered=1, lost_files=1, lost_bytes=1_500),
        behind_bytes=2_500_000,
        behind_events=4_100,
        behind_seconds=200.0,
        pending=1,
        waiting=["events: no answer: Connection refused"],
        left_alone=["a.log", "b.log", "c.log"],
        clock_skew_seconds=600.0,
        no_health_lines="cannot write to logs",
    ).as_line()
    assert line == (
        "shipped 5 · behind by about 4,100 events, 2.5 MB, 3 min · refused 1 · already there 2 · half-written 1 · "
        "gone unshipped 1 file, 1.5 kB · left alone a.log; b.log (+1) · "
        "clock skew: events are 10 min ahead of this clock · no health lines: cannot write to logs · "
        "waits: events: no answer: Connection refused"
    )


@pytest.mark.parametrize(
    ("skew_seconds", "part"),
    [
        (None, ""),
        (5.0, ""),
        (-5.0, ""),
        (7.0, " · clock skew: events are 7 s ahead of this clock"),
        (-7_200.0, " · clock skew: events are 2 h behind this clock"),
    ],
)
def test_status_line_contains_clock_skew_beyond_the_limit(skew_seconds: float | None, part: str) -> None:
    line = build_status(clock_skew_seconds=skew_seconds).as_line()
    assert line == f"shipped 1,234,567 · behind by 0 · refused 0{part}"


def test_events_behind_are_estimated_from_previous_lines() -> None:
    assert estimate_events(1_000, Counts(shipped=8, dead_lettered=2), acknowledged_bytes=5_000) == 2
    assert estimate_events(1_000, Counts(), acknowledged_bytes=0) is None
    assert estimate_events(0, Counts(), acknowledged_bytes=0) == 0


def test_age_is_that_of_the_oldest_unacknowledged_line(tmp_path: Path) -> None:
    answered = b'{"@timestamp":"2026-11-23T05:00:00Z"}\n'
    older, newer = tmp_path / "events-a-1.jsonl", tmp_path / "events-a-2.jsonl"
    older.write_bytes(answered + b'{"@timestamp":"2026-11-23T06:15:00.500000Z"}\n')
    newer.write_bytes(b'{"@timestamp":"2026-11-23T06:15:20Z"}\n')
    files = [track(newer), track(older, position=len(answered))]
    assert find_oldest_age_seconds(tmp_path, files, NOW) == 29.5
    assert find_oldest_age_seconds(tmp_path, [track(older, position=older.stat().st_size)], NOW) == 0


@pytest.mark.parametrize(
    "line", [b"{", b'{"@timestamp":"yesterday at noon"}', b'{"a":1}\n{"@timestamp":"2026-11-23T06:15:00Z"}']
)
def test_line_without_a_timestamp_is_as_old_as_its_file(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "events-a-1.jsonl"
    path.write_bytes(line)
    changed = datetime.now(UTC) - timedelta(seconds=60)
    os.utime(path, (changed.timestamp(), changed.timestamp()))
    assert find_oldest_age_seconds(tmp_path, [track(path)], datetime.now(UTC)) == pytest.approx(60, abs=5)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_shows_one_updated_line_below_the_messages() -> None:
    terminal = Terminal()
    display = Display(terminal)
    display.show("one")
    display.log("news")
    display.show("two")
    display.close()
    assert terminal.getvalue() == "\r\x1b[2Kone\r\x1b[2Kinferlog ship: news\none\r\x1b[2Ktwo\n"


def test_redirected_status_is_printed_only_when_it_changes() -> None:
    file = io.StringIO()
    display = Display(file)
    for line in ("one", "one", "two"):
        display.show(line)
    display.log_once("news")
    display.log_once("news")
    assert file.getvalue() == "inferlog ship: one\ninferlog ship: two\ninferlog ship: news\n"
