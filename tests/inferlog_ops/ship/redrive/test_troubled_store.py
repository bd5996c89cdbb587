"""Stores that answer as a healthy engine never does; one of them has a failure store, as its documentation says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from typer.testing import CliRunner

from inferlog_ops.cli.app import app
from inferlog_ops.core.errors import OperatorError
from tests.support.faulty_store import Fault, FaultyStore, faulty_store, refused_item
from tests.support.shipping import event_ids, event_line


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    with faulty_store() as store:
        yield store


def redrive(store: FaultyStore, *arguments: object) -> tuple[list[dict[str, Any]], str]:
    """Run the command; return what it answers, and what it ended with."""
    words = ["redrive", "--url", store.url, "--namespace", "test", "--json", *map(str, arguments)]
    done = CliRunner().invoke(app, words)
    assert done.exception is None or isinstance(done.exception, OperatorError), done.exception
    return json.loads(done.stdout), str(done.exception or "")


def letters(folder: Path, *ids: str, stream: str = "events") -> Path:
    path = folder / f"inferlog.{stream}.20261123.log"
    path.write_bytes(b"".join(map(event_line, ids)))
    return path


def left(folder: Path) -> list[str]:
    lines = [line for path in folder.glob("*.log") for line in path.read_bytes().splitlines()]
    return [orjson.loads(line)["event"]["id"] for line in lines]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=503, body=b"{}"), "answered 503"),
        (Fault(cut="after", stores=True), "no answer"),
        (Fault(status=404, body=b'{"error":{"type":"index_not_found_exception","reason":"x"}}'), "inferlog provision"),
        (Fault(item=lambda _: refused_item(429, "es_rejected_execution_exception")), "answered 429"),
    ],
    ids=["503", "cut off", "no stream", "429"],
)
def test_a_store_in_trouble_ends_it_and_nothing_is_lost(
    store: FaultyStore, tmp_path: Path, fault: Fault, said: str
) -> None:
    letters(tmp_path, "a", "b")
    letters(tmp_path, "c", stream="health")
    store.faults.append(fault)
    (tally,), ended = redrive(store, "--from", tmp_path)
    assert said in ended
    assert "run this again" in ended
    assert tally["not_sent"] == 2
    assert sorted(left(tmp_path)) == ["a", "b", "c"]
    _, ended = redrive(store, "--from", tmp_path)
    assert (ended, left(tmp_path)) == ("", [])
    assert set(store.stored.values()) == {1}


def test_what_is_taken_beside_what_has_to_wait_is_put_aside(store: FaultyStore, tmp_path: Path) -> None:
    letters(tmp_path, "a", "b", "c")
    store.faults.append(Fault(item=lambda each: refused_item(503, "unavailable") if each == "b" else None))
    (tally,), _ = redrive(store, "--from", tmp_path)
    assert (tally["created"], tally["not_sent"]) == (2, 1)
    assert left(tmp_path) == ["b"]


def test_a_request_that_is_too_large_is_halved_until_it_fits(store: FaultyStore, tmp_path: Path) -> None:
    letters(tmp_path, *event_ids(20))
    store.largest_bytes = 700
    (tally,), ended = redrive(store, "--from", tmp_path)
    assert (tally["created"], ended) == (20, "")
    assert set(store.stored.values()) == {1}


def test_a_key_that_may_not_search_is_told_of(store: FaultyStore, tmp_path: Path) -> None:
    letters(tmp_path, "a")
    store.may_search = False
    _, ended = redrive(store, "--from", tmp_path)
    assert "asked which ids it has, the store answered 403" in ended
    assert left(tmp_path) == ["a"]


def test_what_goes_into_the_failure_store_is_refused_again(store: FaultyStore, tmp_path: Path) -> None:
    letters(tmp_path, "a")
    store.faults.append(Fault(item=lambda _: {"status": 201, "failure_store": "used"}))
    (tally,), ended = redrive(store, "--from", tmp_path)
    assert tally["refused_again"] == 1
    assert "1 dead letters are left" in ended
    assert left(tmp_path) == ["a"]


class Failures:
    """Answers searches of a failure store, a page at a time, and all others as before."""

    def __init__(self, store: FaultyStore, *failures: dict[str, Any]) -> None:
        self.searched: list[dict[str, Any]] = []
        self._failures = list(failures)
        self._other = store.answer
        store.answer = self.answer  # type: ignore[method-assign]

    def answer(self, path: str, stream: str, body: bytes) -> tuple[int, bytes]:
        if "::failures/_search" not in unquote(path):
            return self._other(path, stream, body)
        asked = orjson.loads(body)
        self.searched.append(asked)
        of_stream = [each for each in self._failures if each["document"]["index"] == f"logs-inference.{stream}-test"]
        begin = asked.get("search_after", [0])[0]
        page = of_stream[begin : begin + 2]
        hits = [{"_source": each, "sort": [begin + number]} for number, each in enumerate(page, start=1)]
        return 200, orjson.dumps({"hits": {"hits": hits}})


def failure(event_id: str, stream: str = "events", **source: Any) -> dict[str, Any]:
    document = orjson.loads(event_line(event_id)) | source
    return {
        "@timestamp": "2026-11-23T06:15:01.000Z",
        "document": {"id": event_id, "index": f"logs-inference.{stream}-test", "source": document},
        "error": {"type": "document_parsing_exception", "message": f"[1:9] no good in document with id '{event_id}'"},
    }


def test_what_lies_in_failure_stores_is_listed_by_stream_and_reason(store: FaultyStore) -> None:
    Failures(store, failure("a"), failure("b"), failure("a"), failure("c", "app"))
    rows, _ = redrive(store, "--failure-store", "--list")
    assert [(row["source"], row["reason"], row["letters"]) for row in rows] == [
        ("logs-inference.events-test::failures", "document_parsing_exception: no good", 2),
        ("logs-inference.app-test::failures", "document_parsing_exception: no good", 1),
    ]
    assert not store.stored


def test_what_lies_in_failure_stores_is_sent_once_with_its_ids(store: FaultyStore) -> None:
    failures = Failures(store, failure("a"), failure("b"), failure("a"), failure("c", **{"event.ingested": "earlier"}))
    (tally,), ended = redrive(store, "--failure-store")
    assert (tally["created"], tally["already_there"], ended) == (3, 0, "")
    assert store.stored == {"a": 1, "b": 1, "c": 1}
    assert store.documents["c"].count(b'"event.ingested"') == 1
    assert "lt" in failures.searched[0]["query"]["range"]["@timestamp"]
    (tally,), ended = redrive(store, "--failure-store")
    assert (tally["created"], tally["already_there"], ended) == (0, 3, "")
