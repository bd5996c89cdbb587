import orjson
import pytest

from inferlog_ops.ship.redrive.letter import Letter, failure_letter, fluentd_letter, general, shipper_letter

DOCUMENT = b'{"@timestamp":"2026-11-23T06:15:00Z","event":{"id":"a"},"latency_seconds":"slow","z":1e-7}'
HEAD = b'{"create":{"_id":"a"}}\n' + DOCUMENT[:-1]


def of_shipper(line: str, stream: str = "events", reason: str = "answered 400") -> bytes:
    return orjson.dumps({"stream": stream, "line": line, "reason": reason, "file": "events-a.jsonl", "offset": 0})


def test_a_letter_of_the_shipper_holds_the_very_line() -> None:
    raw = of_shipper(DOCUMENT.decode())
    assert shipper_letter(raw) == Letter(raw=raw, stream="events", reason="answered 400", id="a", head=HEAD)


def test_a_letter_of_fluentd_is_the_document() -> None:
    letter = fluentd_letter(DOCUMENT, "app")
    assert (letter.stream, letter.id, letter.head, letter.raw) == ("app", "a", HEAD, DOCUMENT)
    assert letter.reason == "refused by the store: Fluentd's own log says why"


def test_what_fluentd_could_not_read_can_be_mended_in_its_quotes() -> None:
    mended = orjson.dumps({"unmatched_line": DOCUMENT.decode()})
    assert fluentd_letter(mended, "events").head == HEAD
    broken = fluentd_letter(b'{"unmatched_line":"{\\"event\\": "}', "events")
    assert not broken.can_be_sent
    assert broken.reason.startswith("no JSON: ")


@pytest.mark.parametrize(
    ("letter", "reason"),
    [
        (shipper_letter(b"{half"), "no dead letter: it is no JSON object with stream, reason and line"),
        (shipper_letter(b"[]"), "no dead letter: it is no JSON object with stream, reason and line"),
        (shipper_letter(of_shipper("{}", stream="../x")), "the stream '../x' is none of events, app, health, content"),
        (shipper_letter(of_shipper("{}")), "no event.id: a string in the object event was wanted"),
        (fluentd_letter(b'{"message": "m"}', "events"), "no event.id: a string in the object event was wanted"),
        (fluentd_letter(b"\xff", "events"), "no JSON: str is not valid UTF-8: surrogates not allowed"),
        (fluentd_letter(b'{"event":{"id":"a"}}{"event":', "events"), "no JSON: unexpected content after document"),
        (failure_letter({"document": {}}, "events"), "no event.id: a string in the object event was wanted"),
        (failure_letter({}, "events"), "no event.id: a string in the object event was wanted"),
    ],
)
def test_what_cannot_be_sent_says_why(letter: Letter, reason: str) -> None:
    assert (letter.can_be_sent, letter.id, letter.reason) == (False, "", reason)


def test_a_document_of_a_failure_store_is_sent_without_the_time_of_the_try_that_failed() -> None:
    failure = {
        "@timestamp": "2026-11-23T06:15:01Z",
        "document": {"id": "a", "index": "x", "source": orjson.loads(DOCUMENT) | {"event.ingested": "earlier"}},
        "error": {"type": "document_parsing_exception", "message": "[1:2] failed to parse"},
    }
    letter = failure_letter(failure, "events")
    assert (letter.id, letter.head, letter.raw) == ("a", HEAD, b"")
    assert letter.reason == "document_parsing_exception: failed to parse"


def test_reasons_are_counted_together_whatever_document_they_are_about() -> None:
    reasons = {
        general(
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
