"""Redrive against faulty stores, and against one with the documented failure store of Elasticsearch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from typer.testing import CliRunner

from inferlog_ops.cli.command_list import app
from inferlog_ops.core.errors import OperatorError
from tests.support.faulty_store import Fault, FaultyStore, build_refused_item, run_faulty_store
from tests.support.shipping import build_event_line, make_event_ids


@pytest.fixture
def store() -> Iterator[FaultyStore]:
    with run_faulty_store() as store:
        yield store


def redrive(store: FaultyStore, *arguments: object) -> tuple[list[dict[str, Any]], str]:
    """Run the command; return its output and its error."""
    words = ["redrive", "--url", store.url, "--namespace", "test", "--json", *map(str, arguments)]
    done = CliRunner().invoke(app, words)
    assert done.exception is None or isinstance(done.exception, OperatorError), done.exception
    return json.loads(done.stdout), str(done.exception or "")


def write_letters(folder: Path, *ids: str, stream: str = "events") -> Path:
    path = folder / f"inferlog.{stream}.20261123.log"
    path.write_bytes(b"".join(map(build_event_line, ids)))
    return path


def read_left(folder: Path) -> list[str]:
    lines = [line for path in folder.glob("*.log") for line in path.read_bytes().splitlines()]
    return [orjson.loads(line)["event"]["id"] for line in lines]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=503, body=b"{}"), "answered 503"),
        (Fault(cut="after", stores=True), "no answer"),
        (Fault(status=404, body=b'{"error":{"type":"index_not_found_exception","reason":"x"}}'), "inferlog provision"),
        (Fault(item=lambda _: build_refused_item(429, "es_rejected_execution_exception")), "answered 429"),
    ],
    ids=["503", "cut off", "no stream", "429"],
)
def test_redrive_stops_and_keeps_all_letters_when_the_store_fails(
    store: FaultyStore, tmp_path: Path, fault: Fault, said: str
) -> None:
    write_letters(tmp_path, "a", "b")
    write_letters(tmp_path, "c", stream="health")
    store.faults.append(fault)
    (tally,), ended = redrive(store, "--from", tmp_path)
    assert said in ended
    assert "run this again" in ended
    assert tally["not_sent"] == 2
    assert sorted(read_left(tmp_path)) == ["a", "b", "c"]
    _, ended = redrive(store, "--from", tmp_path)
    assert (ended, read_left(tmp_path)) == ("", [])
    assert set(store.stored.values()) == {1}


def test_stored_letters_are_put_aside_when_others_are_postponed(store: FaultyStore, tmp_path: Path) -> None:
    write_letters(tmp_path, "a", "b", "c")
    store.faults.append(Fault(item=lambda each: build_refused_item(503, "unavailable") if each == "b" else None))
    (tally,), _ = redrive(store, "--from", tmp_path)
    assert (tally["created"], tally["not_sent"]) == (2, 1)
    assert read_left(tmp_path) == ["b"]


def test_redrive_halves_a_too_large_request(store: FaultyStore, tmp_path: Path) -> None:
    write_letters(tmp_path, *make_event_ids(20))
    store.largest_bytes = 700
    (tally,), ended = redrive(store, "--from", tmp_path)
    assert (tally["created"], ended) == (20, "")
    assert set(store.stored.values()) == {1}


def test_redrive_reports_a_key_without_the_read_privilege(store: FaultyStore, tmp_path: Path) -> None:
    write_letters(tmp_path, "a")
    store.may_search = False
    _, ended = redrive(store, "--from", tmp_path)
    assert "the search for existing ids failed: Elasticsearch answered 403" in ended
    assert read_left(tmp_path) == ["a"]


def test_letter_is_refused_again_when_it_goes_into_the_failure_store(store: FaultyStore, tmp_path: Path) -> None:
    write_letters(tmp_path, "a")
    store.faults.append(Fault(item=lambda _: {"status": 201, "failure_store": "used"}))
    (tally,), ended = redrive(store, "--from", tmp_path)
    assert tally["refused_again"] == 1
    assert "1 dead letter remains" in ended
    assert read_left(tmp_path) == ["a"]


class Failures:
    """Answers searches of a failure store in pages, and all other requests unchanged."""

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


def build_failure(event_id: str, stream: str = "events", **source: Any) -> dict[str, Any]:
    document = orjson.loads(build_event_line(event_id)) | source
    return {
        "@timestamp": "2026-11-23T06:15:01.000Z",
        "document": {"id": event_id, "index": f"logs-inference.{stream}-test", "source": document},
        "error": {"type": "document_parsing_exception", "message": f"[1:9] no good in document with id '{event_id}'"},
    }


def test_list_counts_failures_by_stream_and_reason(store: FaultyStore) -> None:
    Failures(store, build_failure("a"), build_failure("b"), build_failure("a"), build_failure("c", "app"))
    rows, _ = redrive(store, "--failure-store", "--list")
    assert [(row["source"], row["reason"], row["letters"]) for row in rows] == [
        ("logs-inference.events-test::failures", "document_parsing_exception: no good", 2),
        ("logs-inference.app-test::failures", "document_parsing_exception: no good", 1),
    ]
    assert not store.stored


def test_failures_are_sent_once_with_their_ids(store: FaultyStore) -> None:
    failures = Failures(
        store,
        build_failure("a"),
        build_failure("b"),
        build_failure("a"),
        build_failure("c", **{"event.ingested": "earlier"}),
    )
    (tally,), ended = redrive(store, "--failure-store")
    assert (tally["created"], tally["already_there"], ended) == (3, 0, "")
    assert store.stored == {"a": 1, "b": 1, "c": 1}
    assert store.documents["c"].count(b'"event.ingested"') == 1
    assert "lt" in failures.searched[0]["query"]["range"]["@timestamp"]
    (tally,), ended = redrive(store, "--failure-store")
    assert (tally["created"], tally["already_there"], ended) == (0, 3, "")
