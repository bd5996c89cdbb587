import calendar
import hashlib
import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import inferlog
from inferlog.audit import FIRST, Hasher, serialize_canonically, split
from tests.support.logfiles import Logs


def record(count: int) -> None:
    for number in range(count):
        with inferlog.track_performance("predict", model_version="v1", tenant=f"größe {number}", cost_usd=4e-6):
            pass


def verify(events: list[dict[str, object]], hasher: Hasher) -> None:
    expected = FIRST
    for event in events:
        previous, own, microseconds, body = split(event)
        assert previous == expected
        assert own == hasher(previous, microseconds, body)
        expected = own


def test_each_event_carries_hash_of_one_before_and_its_own(logs: Logs) -> None:
    record(5)
    verify(logs.events, Hasher())


def test_hash_is_blake2b_of_documented_input(logs: Logs) -> None:
    """Compute the hash without the library."""
    record(1)
    (path,) = logs.directory.glob("events-*")
    # Numbers keep their form in the line.
    event = json.loads(path.read_text(), parse_float=lambda text: f"<number {text}>")
    timestamp, audit = event.pop("@timestamp"), event.pop("audit")
    seconds, _, fraction = timestamp.rstrip("Z").partition(".")
    unix = calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S"))
    body = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    body = re.sub('"<number (.*?)>"', r"\1", body)
    content = f"{'0' * 32}{unix * 1_000_000 + int(fraction)}{body}".encode()
    assert audit == {"prev": "0" * 32, "hash": hashlib.blake2b(content, digest_size=16).hexdigest()}


def test_key_changes_chain(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef\n")
    inferlog.configure(service_name="scoring", log_dir=tmp_path / "logs", audit_key_file=tmp_path / "key")
    record(3)
    inferlog.shutdown()
    events = Logs(tmp_path / "logs").events
    verify(events, Hasher(b"0123456789abcdef"))
    with pytest.raises(AssertionError):
        verify(events, Hasher())


@pytest.mark.parametrize(("content", "found"), [(b"short", "contains 5 bytes"), (b"x" * 65, "contains 65 bytes")])
def test_key_of_wrong_size_is_rejected(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(inferlog.SettingsError, match=f"{found}; expected 16 to 64"):
        inferlog.configure(service_name="scoring", log_dir=tmp_path, audit_key_file=tmp_path / "key")


def test_dropped_event_leaves_gap_in_sequence_but_chain_valid(logs: Logs) -> None:
    record(2)
    sink = inferlog.configuration.get_runtime().events._sink
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sink, "write", lambda _: False)
        record(1)
    record(2)
    assert [event["event"]["sequence"] for event in logs.events] == [0, 1, 3, 4]
    verify(logs.events, Hasher())


def test_hash_holds_after_hops_that_rewrite_form_but_not_meaning(logs: Logs) -> None:
    record(1)
    event = logs.event
    shuffled = dict(reversed(event.items())) | {"event.ingested": "2026-11-23T06:15:00Z"}
    shuffled["@timestamp"] = event["@timestamp"].replace("Z", "000Z")
    shuffled["event"] = {**event["event"], "ingested": "2026-11-23T06:15:00Z"}
    verify([json.loads(json.dumps(shuffled, indent=3))], Hasher())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(0, 1e9).map(lambda x: round(x, 6)) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_canonical_form_is_same_after_round_trip_through_json(document: dict[str, object]) -> None:
    try:
        text = json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return  # a lone surrogate; the library replaces it before
    assert serialize_canonically(document) == serialize_canonically(json.loads(text))
