from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.ship.lines import ID_BYTES, Line, UnshippableError, bulk_body, bulk_head
from inferlog_ops.ship.offsets import Fingerprint, TrackedFile

SENT_AT = datetime(2026, 11, 23, 6, 15, 0, 123456, tzinfo=UTC)
FILE = TrackedFile(name="events-a-b.jsonl", stream="events", identity=Fingerprint(device=1, inode=2), size=0)

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


def line_of(raw: bytes) -> Line:
    return Line(FILE, 0, *bulk_head(raw))


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
def test_a_request_holds_each_document_as_it_was_with_its_id_and_the_time(
    documents: list[tuple[str, dict[str, Any], bool]],
) -> None:
    events = [{**rest, "event": {"id": event_id}} for event_id, rest, _ in documents]
    raw = [
        orjson.dumps(event, option=orjson.OPT_INDENT_2 if spaced else None).replace(b"\n", b" ")
        for event, (_, _, spaced) in zip(events, documents, strict=True)
    ]
    sent = bulk_body([line_of(line) for line in raw], SENT_AT).split(b"\n")
    assert sent.pop() == b""
    assert [orjson.loads(action) for action in sent[::2]] == [{"create": {"_id": each}} for each, _, _ in documents]
    expected = [{**event, "event.ingested": "2026-11-23T06:15:00.123456Z"} for event in events]
    assert [orjson.loads(document) for document in sent[1::2]] == expected


def test_the_documents_bytes_are_passed_on_as_they_are() -> None:
    raw = b' {"b" : 1.50, "a":"\\u00e9",  "event":{"id":"x"} }\r'
    line = line_of(raw)
    assert line.text == raw.strip()
    assert bulk_body([line], SENT_AT).split(b"\n")[1].startswith(raw.strip()[:-1])


def test_the_time_is_written_in_utc_whatever_clock_it_came_from() -> None:
    elsewhere = SENT_AT.astimezone(timezone(timedelta(hours=5)))
    body = bulk_body([line_of(b'{"event":{"id":"x"}}')], elsewhere)
    assert body.endswith(b',"event.ingested":"2026-11-23T06:15:00.123456Z"}\n')


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "no JSON: "),
        (b"\x00\x00\x00", "no JSON: "),
        (b'{"event":{"id":"\xff"}}', "no JSON: "),
        (b"{" + b'"a":{' * 100_000, "no JSON: "),
        (b'{"a":1}{"b":2}', "no JSON: "),
        (b"[]", "no JSON object"),
        (b'"event"', "no JSON object"),
        (b"null", "no JSON object"),
        (b"{}", "no event.id"),
        (b'{"event":"started"}', "no event.id"),
        (b'{"event":{}}', "no event.id"),
        (b'{"event":{"id":7}}', "no event.id"),
        (b'{"event":{"id":""}}', "no event.id"),
        (b'{"event.id":"x"}', "no event.id"),
        (b'{"event":{"id":"\\ud800"}}', "event.id is no valid Unicode"),
        (b'{"event":{"id":"%s"}}' % (b"x" * (ID_BYTES + 1)), "event.id has more than 512 bytes"),
        (b'{"event":{"id":"%s"}}' % ("é" * 257).encode(), "event.id has more than 512 bytes"),
    ],
)
def test_what_can_be_no_document_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(UnshippableError, match=reason):
        bulk_head(raw)


@pytest.mark.parametrize("raw", [b'{"event":{"id":"x"},"m":"\\ud800"}', b'{"event":{"id":"x"},"n":1e999}'])
def test_what_only_the_store_can_judge_is_sent(raw: bytes) -> None:
    assert bulk_head(raw)[0] == "x"


def test_the_longest_id_that_a_store_takes_is_sent() -> None:
    event_id = '"' * ID_BYTES
    assert bulk_head(orjson.dumps({"event": {"id": event_id}}))[0] == event_id
