"""Bound, logged and captured values, up to the written line: no value breaks the line or forges a field."""

import logging
import struct
from contextlib import ExitStack
from typing import Any

import inferlog
from inferlog.event import CHECKS
from inferlog.testing import recording
from tests.fuzz.written import parse_line

LONGEST_BYTES = 1_000
_FIELDS = tuple(CHECKS)
SEEDS = (
    b"",
    b"\x00\x04\x00v3",
    b"\x00\x0f\x0212",
    b"\x00\x07\x03" + struct.pack("d", 0.5),
    b'\x01\x00\x00tenant\x00acme"}\n{"forged":1}',
    b"\x01\x00\x04event\x00id",
    b"\x02\x00\x00inference_failed %s\x00x",
    b"\x03\x00\x00a.library\x00%d of\n two",
    b"\x04\x00\x00what a prompt\x00what an answer",
    b"\x05\x00\x00no model\x00",
    b"\x00\x06\x00error\r\n\x00\x05\x00m\r\n\x01\x00\x05l\x00\xff\xed\xa0\x80",
)


class _Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class _FuzzError(Exception):
    pass


resources = ExitStack()
recorded = resources.enter_context(recording(capture_content=True))
_log = inferlog.get_logger("fuzz")


def check(data: bytes) -> None:
    """Run an action for each line: three bytes choose action, field and kind of value; the value follows."""
    try:
        with inferlog.track_performance("fuzz"):
            for line in data.split(b"\r\n"):
                if len(line) >= 3:
                    _do(line[0] % 6, _FIELDS[line[1] % len(_FIELDS)], line[2], line[3:])
    except _FuzzError:
        pass
    written = {stream: recorded.sink(stream).lines for stream in ("events", "app", "content")}
    documents = {stream: [parse_line(line) for line in lines] for stream, lines in written.items()}
    for lines in written.values():
        lines.clear()
    (event,) = documents["events"]
    for other in (*documents["app"], *documents["content"]):
        assert other["event"]["id"] != event["event"]["id"]
        assert other["service"] == event["service"]


def _do(action: int, field: str, kind: int, raw: bytes) -> None:
    first, _, rest = raw.partition(b"\x00")
    name, value = _decode_text(first), _build_value(kind, rest)
    match action:
        case 0:
            inferlog.bind_inference(**{field: _build_value(kind, raw)})
        case 1:
            inferlog.bind_inference(**{name: value})
        case 2:
            _log.info(name, **{f"{name}_": value})
        case 3:
            # Not through a logger of that name: Python keeps every logger forever.
            record = logging.LogRecord(name, logging.WARNING, "", 0, rest.decode("latin-1"), (), None)
            setattr(record, f"x{name}", value)
            logging.getLogger().handle(record)
        case 4:
            inferlog.capture_content(input=name, output=value)
        case _:
            raise _FuzzError(value)


def _build_value(kind: int, raw: bytes) -> Any:
    text = _decode_text(raw)
    values = (
        text,
        int.from_bytes(raw[:16], "big", signed=True),
        struct.unpack("d", raw[:8].ljust(8, b"\x00"))[0],
        {text: [raw, None, {text}]},
        [text, text[::-1]],
        raw,
        _Broken(),
    )
    return values[kind % len(values)]


def _decode_text(raw: bytes) -> str:
    """Decode UTF-8, including lone surrogates, and other bytes as lone surrogates."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "surrogateescape")
