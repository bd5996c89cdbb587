from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.ship.batch import ID_BYTES, Line, UnshippableError, build_bulk_body, build_bulk_head
from inferlog_ops.ship.offsets import Fingerprint, TrackedFile

SENT_AT = datetime(2026, 11, 23, 6, 15, 0, 123456, tzinfo=UTC)
FILE = TrackedFile(name="events-a-b.jsonl", stream="events", fingerprint=Fingerprint(device=1, inode=2), size=0)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ids = st.text(min_size=1, max_size=100)


def build_line(raw: bytes) -> Line:
    return Line(FILE, 0, *build_bulk_head(raw))


@given(
    documents=st.lists(
        st.tuples(
            ids,
            st.dictionaries(st.text().filter(lambda key: key not in ("event", "event.ingested")), json_values),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_bulk_body_contains_each_document_with_its_id_and_send_time(
    documents: list[tuple[str, dict[str, Any], bool]],
) -> None:
    events = [{**rest, "event": {"id": event_id}} for event_id, rest, _ in documents]
    raw = [
        orjson.dumps(event, option=orjson.OPT_INDENT_2 if spaced else None).replace(b"\n", b" ")
        for event, (_, _, spaced) in zip(events, documents, strict=True)
    ]
    sent = build_bulk_body([build_line(line) for line in raw], SENT_AT).split(b"\n")
    assert sent.pop() == b""
    assert [orjson.loads(action) for action in sent[::2]] == [{"create": {"_id": each}} for each, _, _ in documents]
    expected = [{**event, "event.ingested": "2026-11-23T06:15:00.123456Z"} for event in events]
    assert [orjson.loads(document) for document in sent[1::2]] == expected


def test_bulk_body_keeps_the_bytes_of_the_document() -> None:
    raw = b' {"b" : 1.50, "a":"\\u00e9",  "event":{"id":"x"} }\r'
    line = build_line(raw)
    assert line.text == raw.strip()
    assert build_bulk_body([line], SENT_AT).split(b"\n")[1].startswith(raw.strip()[:-1])


def test_send_time_is_in_utc() -> None:
    elsewhere = SENT_AT.astimezone(timezone(timedelta(hours=5)))
    body = build_bulk_body([build_line(b'{"event":{"id":"x"}}')], elsewhere)
    assert body.endswith(b',"event.ingested":"2026-11-23T06:15:00.123456Z"}\n')


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "not valid JSON: "),
        (b"\x00\x00\x00", "not valid JSON: "),
        (b'{"event":{"id":"\xff"}}', "not valid JSON: "),
        (b"{" + b'"a":{' * 100_000, "not valid JSON: "),
        (b'{"a":1}{"b":2}', "not valid JSON: "),
        (b"[]", "not a JSON object"),
        (b'"event"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "no event.id"),
        (b'{"event":"started"}', "no event.id"),
        (b'{"event":{}}', "no event.id"),
        (b'{"event":{"id":7}}', "no event.id"),
        (b'{"event":{"id":""}}', "no event.id"),
        (b'{"event.id":"x"}', "no event.id"),
        (b'{"event":{"id":"\\ud800"}}', "event.id is not valid Unicode"),
        (b'{"event":{"id":"%s"}}' % (b"x" * (ID_BYTES + 1)), "event.id has more than 512 bytes"),
        (b'{"event":{"id":"%s"}}' % ("é" * 257).encode(), "event.id has more than 512 bytes"),
    ],
)
def test_invalid_line_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(UnshippableError, match=reason):
        build_bulk_head(raw)


@pytest.mark.parametrize("raw", [b'{"event":{"id":"x"},"m":"\\ud800"}', b'{"event":{"id":"x"},"n":1e999}'])
def test_line_that_only_elasticsearch_can_judge_is_sent(raw: bytes) -> None:
    assert build_bulk_head(raw)[0] == "x"


def test_longest_valid_id_is_sent() -> None:
    event_id = '"' * ID_BYTES
    assert build_bulk_head(orjson.dumps({"event": {"id": event_id}}))[0] == event_id
