"""Log lines of a service, including some that Elasticsearch rejects."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

STREAMS = ("events", "app", "health", "content")
_SHARES = (85, 10, 3, 2)  # percent of the lines, in the order above


class Kind(StrEnum):
    """Expected end of a line."""

    GOOD = "good"
    MALFORMED = "malformed"
    """Not a JSON object, or without an id: a dead letter before it is sent."""
    REFUSED = "refused"
    """Document that the mapping rejects."""


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line.

    Attributes:
        mark: Unique mark: the id of a good or refused line, or a text in a malformed one.
        stream: Target stream.
        kind: Expected end.
        text: Its bytes, including the newline.
    """

    mark: str
    stream: str
    kind: Kind
    text: bytes


@dataclass(slots=True)
class Expected:
    """Expected result by stream: ids of good lines, marks of all others."""

    good: dict[str, set[str]] = field(default_factory=lambda: {stream: set() for stream in STREAMS})
    dead: dict[str, set[str]] = field(default_factory=lambda: {stream: set() for stream in STREAMS})

    def add(self, line: Line) -> None:
        (self.good if line.kind is Kind.GOOD else self.dead)[line.stream].add(line.mark)


def make_lines(count: int, *, malformed_share: float, refused_share: float, chance: random.Random) -> Iterator[Line]:
    """Yield *count* lines, with about these shares of malformed and refused ones."""
    for number in range(count):
        stream = chance.choices(STREAMS, _SHARES)[0]
        dice = chance.random()
        if dice < malformed_share:
            mark = f"m{number:07d}"
            yield Line(mark, stream, Kind.MALFORMED, _make_malformed(mark, number))
        elif dice < malformed_share + refused_share:
            mark = f"r{number:07d}"
            # Every stream has a @timestamp, and only the events have a latency.
            wrong = {"latency_seconds": "slow"} if stream == "events" else {"@timestamp": "yesterday"}
            yield Line(mark, stream, Kind.REFUSED, _make_document(mark, stream, chance, **wrong))
        else:
            mark = f"g{number:07d}"
            yield Line(mark, stream, Kind.GOOD, _make_document(mark, stream, chance))


def mark_in(letter: bytes) -> str:
    """Return the mark of a dead letter's line; empty without one."""
    begin = letter.find(b"mark-")
    return letter[begin + 5 : begin + 13].decode() if begin >= 0 else ""


def _make_malformed(mark: str, number: int) -> bytes:
    text = f"mark-{mark}"
    kinds = (
        b'{"event":{"id":"%b"},"message":"cut o\n',
        b'{"message":"%b has no id"}\n',
        b'["%b"]\n',
        b'{"event":{"id":"%b"},"message":"cut in a letter \xe2\x82\n',
        b'{"@timestamp":"2026-11-23T06:15:00Z","event":"%b"}\n',
    )
    return kinds[number % len(kinds)] % text.encode()


def _make_document(mark: str, stream: str, chance: random.Random, **wrong: object) -> bytes:
    document = {
        "@timestamp": "2026-11-23T06:15:00.123456Z",
        "event": {"id": mark, "dataset": f"inference.{stream}", "action": "inference_completed", "outcome": "success"},
        "service": {"name": "scoring", "version": "1.4.0", "environment": "production", "instance": {"id": "ab" * 8}},
        "request_id": f"{chance.getrandbits(128):032x}",
        "correlation_id": f"mark-{mark}",
        "model_name": "smollm2-135m-instruct",
        "model_version": chance.choice(("v1", "v2")),
        "latency_seconds": round(chance.lognormvariate(-1, 1), 6),
        "gen_ai": {"usage": {"input_tokens": chance.randrange(500), "output_tokens": chance.randrange(500)}},
        "http": {"route": "/v1/chat/completions", "request": {"method": "POST"}, "response": {"status_code": 200}},
        "message": "größer als 20 €; " * chance.randrange(12),
        "status": "success",
    }
    return orjson.dumps(document | wrong, option=orjson.OPT_APPEND_NEWLINE)
