import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ignore_progress
from inferlog_ops.query.reconcile.records import ClientOutcome, ClientRecords, read_records
from inferlog_traffic import exchange
from inferlog_traffic.records import RecordFile, RequestRecord
from tests.support.reconciling import DUE, make_record, write_records


def read(*paths: Path, run_id: str | None = None) -> ClientRecords:
    return read_records(paths, run_id=run_id, report=ignore_progress)


def test_records_of_the_load_generator_are_read(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "client.jsonl")
    moment = datetime(2026, 11, 23, 6, 15, 0, 123456, tzinfo=UTC)
    for number, outcome in enumerate(exchange.RequestOutcome):
        file.append(
            RequestRecord(
                correlation_id=f"run-{number}",
                caller="steady",
                route="/v1/chat/completions",
                model=None,
                intended_at=moment + timedelta(seconds=number),
                sent_after_seconds=0.25,
                first_token_after_seconds=None,
                ended_after_seconds=1.5 + number,
                status_code=None if outcome == "unanswered" else 200 + number,
                outcome=outcome,
            )
        )
    file.close()
    records = read(tmp_path / "client.jsonl")
    last = len(exchange.RequestOutcome) - 1
    assert records.places == {f"run-{number}": number for number in range(last + 1)}
    assert {outcome: records.count(outcome) for outcome in ClientOutcome} == dict.fromkeys(ClientOutcome, 1)
    assert records.first_due_at == moment
    assert records.last_ended_at == moment + timedelta(seconds=last + 1.5 + last)
    assert records.latency_seconds.tolist() == [1.25 + number for number in range(last + 1)]
    assert records.answer_began.sum() == last


def test_outcomes_are_those_of_the_load_generator() -> None:
    assert {str(outcome) for outcome in ClientOutcome} == {str(outcome) for outcome in exchange.RequestOutcome}


def test_files_and_directories_of_them_are_read_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    first = write_records(tmp_path / "records/a.jsonl", [make_record("a")])
    write_records(tmp_path / "records/b.jsonl", [make_record("b")])
    (tmp_path / "records/notes.txt").write_text("not a record")
    other = write_records(tmp_path / "c.records", [make_record("c")])
    assert read(tmp_path / "records", other, first).places.keys() == {"a", "b", "c"}


def test_of_several_runs_one_can_be_chosen(tmp_path: Path) -> None:
    file = write_records(tmp_path / "client.jsonl", [make_record("one-1"), make_record("two-1"), make_record("one-2")])
    assert list(read(file, run_id="one-").places) == ["one-1", "one-2"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("client: done\n", "line 2: 'client: done' is not valid JSON: "),
        ("\n", "line 2: '' is not valid JSON: "),
        (json.dumps(make_record("b")), "has no line end; is the run still in progress?"),
        ("[1, 2]\n", "line 2: a JSON list; expected an object"),
        ('{"message": "started"}\n', "line 2: no correlation_id; expected a record of a request (docs/traffic.md)"),
        (make_record("b", outcome="lovely"), "line 2: outcome is 'lovely'; expected one of answered, refused, "),
        (make_record("b", status_code="200"), "line 2: status_code is '200'; expected a status code, or null"),
        (make_record("b", status_code=70000), "line 2: status_code is 70000; expected 100 to 999, or null"),
        (make_record("b", status_code=-1), "line 2: status_code is -1; "),
        (make_record("b", ended_after_seconds=None), "line 2: ended_after_seconds is None; expected a number"),
        (make_record("b", ended_after_seconds=0.0), "line 2: ended after 0.0 s, and sent after that"),
        (make_record("b", ended_after_seconds=1e300), "line 2: "),
        (
            make_record("b", ended_after_seconds=2e11),
            "line 2: intended_at is '2026-11-23T06:15:00+00:00', ended_after_seconds 2",
        ),
        (make_record("b", intended_at="0001-01-01T00:01:00Z"), "line 2: intended_at is '0001-01-01T00:01:00Z', ended"),
        (make_record("b", intended_at="9999-12-31T23:59:00Z"), "expected moments of the years 1971 to 2260"),
        (make_record("b", intended_at="0001-01-01T00:01:00+23:00"), "expected moments of the years 1971 to 2260"),
        (make_record("b", intended_at="yesterday"), "line 2: Invalid isoformat string: 'yesterday'"),
        (
            make_record("b", intended_at="2026-11-23T06:15:00"),
            "line 2: intended_at is '2026-11-23T06:15:00', without a UTC",
        ),
        (make_record("a"), "line 2: a second record of 'a'; correlation ids must be unique"),
    ],
)
def test_broken_line_is_reported_with_its_number(tmp_path: Path, line: str | dict[str, Any], said: str) -> None:
    file = write_records(tmp_path / "client.jsonl", [make_record("a")])
    with file.open("a") as lines:
        lines.write(line if isinstance(line, str) else json.dumps(line) + "\n")
    with pytest.raises(OperatorError) as error:
        read(file)
    assert str(error.value).startswith(f"{file}, line 2: ")
    assert said in str(error.value)
    assert error.value.exit_code == 2


def test_long_broken_line_is_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "client.jsonl"
    file.write_text("x" * 100_000 + "\n")
    with pytest.raises(OperatorError) as error:
        read(file)
    assert len(str(error.value)) < 400


def test_invalid_utf8_is_reported_as_invalid_json(tmp_path: Path) -> None:
    file = tmp_path / "client.jsonl"
    file.write_bytes(b"\xff\xfe\n")
    with pytest.raises(OperatorError, match="line 1: .* is not valid JSON"):
        read(file)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: None, "cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "contains no .jsonl file"),
        (
            lambda path: path.write_text(""),
            "no record of a request; expected a file written by scripts/traffic --records",
        ),
    ],
)
def test_missing_records_are_reported_in_one_sentence(tmp_path: Path, make: Any, said: str) -> None:
    path = tmp_path / "client.jsonl"
    make(path)
    with pytest.raises(OperatorError, match=said):
        read(path)


def test_run_that_is_not_in_the_records_is_named(tmp_path: Path) -> None:
    file = write_records(tmp_path / "client.jsonl", [make_record("one-1")])
    with pytest.raises(OperatorError, match="starts with 'two-'"):
        read(file, run_id="two-")


def test_times_with_any_offset_are_accepted(tmp_path: Path) -> None:
    file = write_records(tmp_path / "client.jsonl", [make_record("a", intended_at="2026-11-23T08:15:00+02:00")])
    assert read(file).first_due_at == DUE
