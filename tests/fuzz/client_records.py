"""Records of a load generator: valid ones are read unchanged, invalid ones rejected with their place."""

import json
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.reconcile.records import OUTCOMES, read_records
from tests.fuzz.bent import bend

LONGEST_BYTES = 200
_DOCUMENT = {
    "correlation_id": "run-steady-1-1",
    "caller": "steady",
    "route": "/v1/chat/completions",
    "model": None,
    "intended_at": "2026-11-23T06:15:00.000000Z",
    "sent_after_seconds": 0.001,
    "first_token_after_seconds": None,
    "ended_after_seconds": 1.5,
    "status_code": 200,
    "outcome": "answered",
}
SEEDS = (
    b"\x01",
    b"\x01\x00\x05\x16",
    b"\x01\x00\x08\x09",
    b"\x01\x00\x09\xff",
    b"\x02\x00\x05\x07\x00\x08\x07",
    b"\x00{}",
    b"\x00[]\n[]",
    b"\x00" + b"[" * 150,
    b"\x00\xff\n",
    b'\x00{"correlation_id":"\\ud800"}',
    b"\x00" + json.dumps(_DOCUMENT | {"intended_at": "0001-01-01T00:00:00+23:59"}).encode()[:190],
)
resources = ExitStack()
_path = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="inferlog-fuzz-"))) / "records.jsonl"
_good = json.dumps(_DOCUMENT | {"correlation_id": "run-good"}).encode()


def check(data: bytes) -> None:
    """Read a valid and a mutated record; a first byte above 127 removes the last newline."""
    last = b"" if data[:1] > b"\x7f" else b"\n"
    _path.write_bytes(_good + b"\n" + bend(_DOCUMENT, data) + last)
    try:
        records = read_records([_path], run_id=None, report=_ignore)
    except OperatorError:
        return
    assert len(records) == len(records.sent_after_seconds) == len(records.outcomes) >= 1
    assert (records.latency_seconds >= 0).all()
    assert sum(records.count(outcome) for outcome in OUTCOMES) == len(records)
    assert records.last_ended_at - records.first_due_at >= timedelta()
    assert len(records.answer_began) == len(records)


def _ignore(_text: str) -> None: ...
