import orjson
import pytest

from inferlog_ops.ship.redrive.letter import (
    Letter,
    generalize,
    parse_failure,
    parse_fluentd_letter,
    parse_shipper_letter,
)

DOCUMENT = b'{"@timestamp":"2026-11-23T06:15:00Z","event":{"id":"a"},"latency_seconds":"slow","z":1e-7}'
HEAD = b'{"create":{"_id":"a"}}\n' + DOCUMENT[:-1]


def build_shipper_letter(line: str, stream: str = "events", reason: str = "answered 400") -> bytes:
    return orjson.dumps({"stream": stream, "line": line, "reason": reason, "file": "events-a.jsonl", "offset": 0})


def test_shipper_letter_contains_the_unchanged_line() -> None:
    raw = build_shipper_letter(DOCUMENT.decode())
    assert parse_shipper_letter(raw) == Letter(raw=raw, stream="events", reason="answered 400", id="a", head=HEAD)


def test_fluentd_letter_is_the_document() -> None:
    letter = parse_fluentd_letter(DOCUMENT, "app")
    assert (letter.stream, letter.id, letter.head, letter.raw) == ("app", "a", HEAD, DOCUMENT)
    assert letter.reason == "refused by Elasticsearch: see Fluentd's own log for the reason"


def test_unmatched_line_is_sent_when_fixed_in_its_quotes() -> None:
    fixed = orjson.dumps({"unmatched_line": DOCUMENT.decode()})
    assert parse_fluentd_letter(fixed, "events").head == HEAD
    broken = parse_fluentd_letter(b'{"unmatched_line":"{\\"event\\": "}', "events")
    assert not broken.can_be_sent
    assert broken.reason.startswith("not valid JSON: ")


@pytest.mark.parametrize(
    ("letter", "reason"),
    [
        (parse_shipper_letter(b"{half"), "not a dead letter: expected a JSON object with stream, reason and line"),
        (parse_shipper_letter(b"[]"), "not a dead letter: expected a JSON object with stream, reason and line"),
        (
            parse_shipper_letter(build_shipper_letter("{}", stream="../x")),
            "unknown stream '../x', expected one of events, app, health, content",
        ),
        (parse_shipper_letter(build_shipper_letter("{}")), "no event.id: expected a string in the object event"),
        (parse_fluentd_letter(b'{"message": "m"}', "events"), "no event.id: expected a string in the object event"),
        (parse_fluentd_letter(b"\xff", "events"), "not valid JSON: str is not valid UTF-8: surrogates not allowed"),
        (
            parse_fluentd_letter(b'{"event":{"id":"a"}}{"event":', "events"),
            "not valid JSON: unexpected content after document",
        ),
        (parse_failure({"document": {}}, "events"), "no event.id: expected a string in the object event"),
        (parse_failure({}, "events"), "no event.id: expected a string in the object event"),
    ],
)
def test_unsendable_letter_has_a_reason(letter: Letter, reason: str) -> None:
    assert (letter.can_be_sent, letter.id, letter.reason) == (False, "", reason)


def test_failure_is_sent_without_the_time_of_the_failed_attempt() -> None:
    failure = {
        "@timestamp": "2026-11-23T06:15:01Z",
        "document": {"id": "a", "index": "x", "source": orjson.loads(DOCUMENT) | {"event.ingested": "earlier"}},
        "error": {"type": "document_parsing_exception", "message": "[1:2] failed to parse"},
    }
    letter = parse_failure(failure, "events")
    assert (letter.id, letter.head, letter.raw) == ("a", HEAD, b"")
    assert letter.reason == "document_parsing_exception: failed to parse"


def test_reasons_of_different_documents_are_counted_together() -> None:
    reasons = {
        generalize(
            f"answered 400: document_parsing_exception: [1:{number}] failed to parse field [latency_seconds] of type "
            f"[double] in document with id 'a{number}'. Preview of field's value: 'slow {number}' (For input string)"
        )
        for number in range(3)
    }
    (reason,) = reasons
    assert reason == (
        "answered 400: document_parsing_exception: failed to parse field [latency_seconds] of type [double]"
        " (For input string)"
    )
