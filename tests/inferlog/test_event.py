import json
import math
import sys
from fractions import Fraction
from http import HTTPStatus

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import inferlog
from inferlog.audit import serialize_canonically
from inferlog.event import (
    ACTION_AND_OUTCOME,
    FIELDS,
    MESSAGE_LIMIT_CHARACTERS,
    NAMES_LIMIT,
    EventLayout,
    InvalidFieldError,
    Status,
    build_document,
    check_value,
    to_label,
    to_label_name,
)
from inferlog.testing import recording
from tests.support.logfiles import Logs

MEASURES = [name for name in FIELDS if name.endswith("_seconds") or name == "cost_usd"]
COUNTS = ["input_tokens", "output_tokens"]


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("nonsense", [-0.000001, math.nan, math.inf, "0.5", True, None, [], 10**400, 1e9, 10**9])
def test_measure_rejects_all_but_numbers_from_0_below_a_billion(name: str, nonsense: object) -> None:
    with pytest.raises(InvalidFieldError, match=f"{name}: .*expected a number from 0, below 1,000,000,000"):
        check_value(name, nonsense)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("nonsense", [-1, 1.5, "12", True, sys.maxsize, 10**12 + 1, math.nan])
def test_count_rejects_all_but_whole_numbers_from_0_to_a_trillion(name: str, nonsense: object) -> None:
    with pytest.raises(InvalidFieldError, match=f"{name}: .*expected a whole number from 0 to 1,000,000,000,000"):
        check_value(name, nonsense)


def test_rejected_value_is_redacted_before_it_is_cut() -> None:
    token = "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
    with pytest.raises(InvalidFieldError) as raised:
        check_value("output_tokens", "x" * 60 + " " + token)
    assert token[:10] not in str(raised.value)


@pytest.mark.parametrize("nonsense", ["", 5, None, b"v1"])
def test_name_rejects_all_but_text(nonsense: object) -> None:
    with pytest.raises(InvalidFieldError, match="model_version: "):
        check_value("model_version", nonsense)


def test_status_error_lists_valid_values() -> None:
    with pytest.raises(InvalidFieldError, match="expected one of success, rejected, error, cancelled"):
        check_value("status", "ok")


@given(st.floats(min_value=0, max_value=1e9, exclude_max=True))
def test_measures_carry_at_most_six_decimals(value: float) -> None:
    written = check_value("latency_seconds", value)
    assert written == round(written, 6)
    assert abs(written - value) <= 0.5e-6 + value * 1e-15


@given(st.text())
def test_any_text_makes_one_valid_json_line(text: str) -> None:
    """Lone surrogates, newlines, quotes: one line, and the same text after parsing if it is valid UTF-8."""
    labels = {to_label_name("note"): to_label("note", text)}
    line = orjson.dumps(build_document({"error_message": check_value("error_message", text)}, labels))
    assert b"\n" not in line
    assert json.loads(line)["labels"]["note"] is not None


@given(st.text(), st.one_of(st.none(), st.text(), st.binary(), st.integers(), st.floats(), st.lists(st.integers())))
def test_any_label_can_be_serialised(name: str, value: object) -> None:
    line = orjson.dumps({to_label_name(name): to_label(name, value)})
    assert line.count(b"\n") == 0
    assert None not in json.loads(line).values()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Bearer s3cr3t.S3CR3T9", "Bearer [REDACTED]"),
        ("Bearer\ts3cr3t.S3CR3T9", "Bearer_[REDACTED]"),
        ("conn.postgres://app:s3cr3t@db/x", "conn.postgres://app:[REDACTED]@db/x"),
        ("AKIA" + "EXAMPLE000000000", "[REDACTED]"),
        ("x-api-key: s3cr3t", "x-api-key: [REDACTED]"),
        ("alice@example.org", "[REDACTED]"),
        ("a" * 300 + " postgres://app:s3cr3t@db/x", "a" * 256 + "… [75 characters cut]"),
        ("password", "password"),
        ("time_to_first_token_seconds", "time_to_first_token_seconds"),
        ("uvicorn.error", "uvicorn.error"),
        ("größe\n", "größe_"),
        ("", "_"),
    ],
)
def test_name_of_label_is_redacted_and_printable(name: str, written: str) -> None:
    assert to_label_name(name) == to_label_name(name) == written


def test_name_of_label_is_redacted_by_secrets_of_moment() -> None:
    with recording(redact_patterns="EMP[0-9]+"):
        assert to_label_name("EMP17_of_department") == "[REDACTED]_of_department"
    assert to_label_name("EMP17_of_department") == "EMP17_of_department"


def test_value_without_text_form_does_not_raise() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert to_label("x", Broken()) == "<Broken without a text form>"


def test_long_text_is_cut_with_note_of_length() -> None:
    written = check_value("error_message", "a" * 5_000)
    assert written == "a" * MESSAGE_LIMIT_CHARACTERS + "… [3000 characters cut]"


@pytest.mark.parametrize("before", range(MESSAGE_LIMIT_CHARACTERS - 60, MESSAGE_LIMIT_CHARACTERS + 20, 7))
@pytest.mark.parametrize("reads", [1, 2])
@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Bearer s3cr3t" + "S3CR3T9" * 40,
        "postgres://app:s3cr3tS3CR3T9@db/x",
        "-----BEGIN PRIVATE KEY-----\n" + "S3CR3T9\n" * 500 + "-----END PRIVATE KEY-----",
        "password=s3cr3tS3CR3T9",
    ],
)
def test_credential_at_cut_does_not_show(secret: str, before: int, reads: int) -> None:
    """Cut before the scan, and cut of the scanned text for output."""
    text = ("word " * MESSAGE_LIMIT_CHARACTERS)[: before * reads - 1] + " " + secret + " word" * 2_000
    written = check_value("error_message", text)
    assert "S3CR3T" not in written
    assert "characters cut]" in written


def test_unscanned_text_is_not_written_after_redaction() -> None:
    text = "-----BEGIN PRIVATE KEY-----\n" + "S3CR3T9\n" * 700 + "-----END PRIVATE KEY----- after"
    assert "S3CR3T" not in check_value("error_message", text)


def test_every_field_has_own_path() -> None:
    paths = [field.path for field in FIELDS.values()]
    assert len(set(paths)) == len(paths)
    assert not any(a != b and a == b[: len(a)] for a in paths for b in paths)


def test_dots_are_nested_objects() -> None:
    fields = {"input_tokens": 1, "output_tokens": 2, "operation_name": "chat", "http_route": "/x"}
    nested = build_document(fields, {"a": 1})
    assert nested == {
        "gen_ai": {"usage": {"input_tokens": 1, "output_tokens": 2}, "operation": {"name": "chat"}},
        "http": {"route": "/x"},
        "labels": {"a": 1},
    }


@given(
    names=st.lists(st.sampled_from([*FIELDS, "labels"]), unique=True),
    status=st.sampled_from([*ACTION_AND_OUTCOME]),
    values=st.tuples(st.integers(0, 2**63 - 1), st.text(st.characters(codec="utf-8"))),
)
def test_layout_is_canonical_document_of_its_fields(names: list[str], status: Status, values: tuple[int, str]) -> None:
    names = [*dict.fromkeys([*names, "status"])]
    layout = EventLayout(status, names, {("event", "dataset"): "inference.events", ("service",): {"name": "a"}})
    for sequence, value in enumerate(values):
        fields = dict.fromkeys(names, value) | {"status": status}
        labels = {"labels": fields.pop("labels")} if "labels" in fields else {}
        document = {**build_document(fields), **labels, "service": {"name": "a"}}
        action, outcome = ACTION_AND_OUTCOME[status]
        stamps = {"dataset": "inference.events", "id": "i", "sequence": sequence, "action": action, "outcome": outcome}
        document["event"] = {**document.get("event", {}), **stamps}
        assert orjson.dumps(layout.fill(fields | labels, "i", sequence)) == serialize_canonically(document)


def test_every_status_has_action_and_outcome() -> None:
    assert {outcome for _, outcome in ACTION_AND_OUTCOME.values()} == {"success", "failure", "unknown"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.float64(1.5), 1.5),
        (np.float32(0.5), 0.5),
        (np.int64(5), 5),
        (HTTPStatus.OK, 200),
        (True, True),
        (np.float64("nan"), "nan"),
        (Fraction(1, 4), 0.25),
        (2**63, "9223372036854775808"),
        pytest.param(-(2**2048), str(-(2**2048)), id="too large for a float"),
        pytest.param(10**5000, "<int without a text form>", id="more digits than Python converts"),
    ],
)
def test_number_of_any_type_becomes_json_number(value: object, written: object, logs: Logs) -> None:
    assert to_label("score", value) == written
    with inferlog.track_performance("predict", score=value):
        inferlog.get_logger().info("scored", score=value)
    assert logs.event["labels"]["score"] == written
    assert logs.read_lines("app")[0]["labels"]["score"] == written


def test_long_list_of_names_is_cut_with_note() -> None:
    names = check_value("finish_reasons", (f"reason {number}" for number in range(300_000)))
    assert len(names) == NAMES_LIMIT + 1
    assert names[-1] == f"(cut after {NAMES_LIMIT})"
