"""Bytes of a log file through the shipper's reader: every complete line is sent unchanged or rejected with a reason."""

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import orjson

from inferlog_ops.ship.batch import ID_BYTES, Batch, Line, RefusedLine, build_bulk_body
from inferlog_ops.ship.clock_skew import ClockSkew
from inferlog_ops.ship.dead_letters import _build_letter
from inferlog_ops.ship.discovery import FileDiscovery
from inferlog_ops.ship.offsets import OffsetTracker
from inferlog_ops.ship.schedule import Schedule
from inferlog_ops.ship.settings import ShipSettings
from inferlog_ops.ship.status import Counters
from inferlog_ops.ship.tail import FileTailer, Reader

LONGEST_BYTES = 800
SEEDS = (
    b"\xff",
    b'\xff{"event":{"id":"a"}}\n{"event":{"id":"b"}}\n',
    b'\x40{"event":{"id":"a","dataset":"inference.events"},"labels":{"note":"\\ud800"}}\r\n\n \n{"half',
    b'\xff[]\n"event"\n{"event":"a"}\n{"event":{"id":7}}\n{"event":{"id":""}}\nnull\n',
    b'\x10{"event":{"id":"a"},"event":{"id":"b"},"n":1e999,"m":NaN}\n\xff\xfe\n',
    b'\xff{"event":{"id":"' + b"x" * 540 + b'"}}\n' + b'{"a":' * 30,
)
_SMALL = ShipSettings(read_bytes=96, line_bytes=600, bulk_events=20, bulk_bytes=1_200, poll_seconds=0.0)
_SENT_AT = datetime(2026, 11, 23, 6, 15, tzinfo=UTC)
_INGESTED = "2026-11-23T06:15:00.000000Z"
_WHITE_SPACE = b" \t\n\r\x0b\x0c"

resources = ExitStack()
_root = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="inferlog-fuzz-")))
_path = _root / "events-fuzz-1-1.jsonl"


def check(data: bytes) -> None:
    """Read a file that may grow meanwhile; the first byte sets its initial size."""
    content = data[1:]
    first = len(content) * min(data[0], 128) // 128 if data else 0
    tracker = OffsetTracker()
    discovery = FileDiscovery(_root, tracker, {}, Counters(), _fail, shipper_id="own")
    read: list[Line | RefusedLine] = []
    for known in (content[:first], content) if first < len(content) else (content,):
        _path.write_bytes(known)
        for batch in _read_batches(discovery, tracker):
            if batch.lines:
                assert b"".join(_build_bulk_lines(batch)) == build_bulk_body(batch.lines, _SENT_AT)
            read += sorted([*batch.lines, *batch.refused], key=lambda line: line.offset)
            tracker.acknowledge(batch.byte_ranges)
    _check(content, read)
    (file,) = tracker.list_files()
    assert file.acknowledged_offset == content.rfind(b"\n") + 1


def _read_batches(discovery: FileDiscovery, tracker: OffsetTracker) -> Iterator[Batch]:
    schedule = Schedule(stream_batches=10_000, shortened_seconds=0)
    tail = FileTailer(_root, tracker, ClockSkew(), _SMALL)
    Reader(discovery=discovery, tail=tail, tracker=tracker, schedule=schedule, settings=_SMALL).run_once(
        threading.Event()
    )
    schedule.close()
    return iter(schedule.take, None)


def _check(content: bytes, read: list[Line | RefusedLine]) -> None:
    """Compare with a simple reader."""
    offset = 0
    left = iter(read)
    for raw in content.split(b"\n")[:-1]:
        if raw.strip(_WHITE_SPACE):
            line = next(left)
            assert line.offset == offset
            if isinstance(line, Line):
                assert line.id == _parse_id(raw)
                assert line.text == raw.strip(_WHITE_SPACE)
            else:
                is_long = len(raw) > _SMALL.line_bytes
                assert is_long or _parse_id(raw) is None
                assert line.length == len(raw)
                assert line.text == (raw[: len(line.text)] if is_long and line.text else raw)
                assert orjson.loads(orjson.dumps(_build_letter(line)))["offset"] == offset
        offset += len(raw) + 1
    assert next(left, None) is None


def _build_bulk_lines(batch: Batch) -> Iterator[bytes]:
    """Yield the two lines of each document in a bulk request, and check that the store parses them as intended."""
    for line in batch.lines:
        action = b'{"create":{"_id":%b}}\n' % orjson.dumps(line.id)
        assert json.loads(action) == {"create": {"_id": line.id}}
        document = b'%b,"event.ingested":"%b"}\n' % (line.text[:-1], _INGESTED.encode())
        assert document.count(b"\n") == 1
        sent = json.loads(document)
        assert sent.pop("event.ingested") == _INGESTED
        assert str(sent) == str(_remove_time(line.text))
        yield action + document


def _remove_time(text: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(text)
    found.pop("event.ingested", None)
    return found


def _parse_id(raw: bytes) -> str | None:
    """Return the id of a line that is a valid document."""
    try:
        found = json.loads(raw.strip(_WHITE_SPACE).decode())
        event_id = found["event"]["id"]
        usable = isinstance(event_id, str) and 0 < len(event_id.encode()) <= ID_BYTES
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return event_id if usable else None


def _fail(text: str) -> None:
    raise AssertionError(text)
