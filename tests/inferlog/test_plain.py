import enum
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import attrs
import numpy as np
import pydantic
import pydantic.dataclasses
import pytest
from hypothesis import given
from hypothesis import strategies as st

import inferlog
from inferlog.event import FIELDS, InvalidFieldError, check_value, to_label
from inferlog.testing import recording


class Mode(enum.Enum):
    FAST = "fast"


class TextMode(str, enum.Enum):  # noqa: UP042 (the form that services of before 3.11 have)
    FAST = "fast"


class Ending(enum.StrEnum):
    GOOD = "success"


class Level(enum.IntEnum):
    HIGH = 3


class Nested(enum.Enum):
    MODE = TextMode.FAST


@dataclass
class Usage:
    prompt: int
    api_key: str


@dataclass
class Patient:
    ward: int
    diagnosis: str = field(repr=False)


@pydantic.dataclasses.dataclass
class ValidatedPatient:
    ward: int
    diagnosis: str = pydantic.Field(repr=False)


@attrs.define
class AttrsPatient:
    ward: int
    diagnosis: str = attrs.field(repr=False)


class PatientModel(pydantic.BaseModel):
    ward: int
    diagnosis: str = pydantic.Field(repr=False)
    identity: pydantic.SecretStr = pydantic.SecretStr("flu")


class Login(NamedTuple):
    user: str
    password: str


@pytest.mark.parametrize("mode", [Mode.FAST, TextMode.FAST, Nested.MODE])
def test_enum_has_its_value_as_label_and_as_field(mode: enum.Enum) -> None:
    assert to_label("mode", mode) == check_value("model_version", mode) == "fast"
    assert type(check_value("model_version", mode)) is str


def test_enum_of_numbers_has_its_number_as_label_and_as_field() -> None:
    assert to_label("level", Level.HIGH) == check_value("input_tokens", Level.HIGH) == 3


def test_event_with_enum_as_status_is_written() -> None:
    with recording() as recorded, inferlog.track_performance("x", status=Ending.GOOD):
        pass
    assert recorded.event["status"] == "success"


def test_error_of_field_names_value_of_enum() -> None:
    with pytest.raises(InvalidFieldError, match="'fast' is not a status"):
        check_value("status", Mode.FAST)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.True_, True),
        (np.False_, False),
        (np.str_("fast"), "fast"),
        (np.int64(3), 3),
        ({"prompt": 3, "modes": [Mode.FAST, None, True, 0.5]}, '{"prompt":3,"modes":["fast",null,true,0.5]}'),
        ([np.float32(0.5), np.True_, np.int8(1)], "[0.5,true,1]"),
        (("a", "b"), '["a","b"]'),
        (b"fast", "fast"),
        (b"caf\xc3\xa9 \xff", "café \\xff"),
        ([bytearray(b"fast"), {b"x": b"y"}], '["fast",{"x":"y"}]'),
        (Login("app", ""), '{"user":"app","password":"[REDACTED]"}'),
        ({("a", 1): 2}, """{"('a', 1)":2}"""),
        ({"name": "threshold", "value": 0.5}, '{"name":"threshold","value":0.5}'),
        ([["token", 17], ["the", 40]], '[["token",17],["the",40]]'),
        ({Mode.FAST: 1, 2: "x"}, '{"fast":1,"2":"x"}'),
        (np.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
        (Usage(3, "k-17"), '{"prompt":3,"api_key":"[REDACTED]"}'),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 11, 30, 1, 2, 3, tzinfo=UTC), "2026-11-30T01:02:03+00:00"),
        (date(2026, 11, 30), "2026-11-30"),
        (float("nan"), "nan"),
        (None, "None"),
    ],
)
def test_label_has_value_that_json_has(value: Any, written: Any) -> None:
    assert to_label("x", value) == written
    assert type(to_label("x", value)) is type(written)


def test_secret_within_label_is_removed() -> None:
    text = to_label("settings", {"user": "anna", "password": "hunter22", "deep": [{"token": ["t-1"]}]})
    assert text == '{"user":"anna","password":"[REDACTED]","deep":[{"token":"[REDACTED]"}]}'


CONTAINERS: Final[tuple[Callable[[str], Any], ...]] = (
    lambda secret: [(b"host", b"x"), (b"authorization", secret.encode()), (b"x-api-key", secret.encode())],
    lambda secret: {b"x-api-key": secret.encode(), b"host": b"x"},
    lambda secret: {"headers": {"X-API-KEY": [secret]}},
    lambda secret: [("x-api-key", [secret]), ["x-api-key", (secret,)]],
    lambda secret: bytearray(b"x-api-key: ") + secret.encode(),
    lambda secret: [{"name": "DB_PASSWORD", "value": secret}],
    lambda secret: [{"value": [secret], "name": b"DB_PASSWORD"}],
    lambda secret: [{"Key": "db.password", "Kind": "text", "Value": {"text": secret}}],
    lambda secret: Login("app", secret),
    lambda secret: {"login": [Login(user="app", password=secret)]},
    lambda secret: urlsplit(f"https://app:{secret}@db/x"),
    lambda secret: [urlsplit(f"HTTPS://{secret}@db/x"), urlsplit(f"https://app:{secret}@db/x".encode())],
    lambda secret: urlsplit(f"https://app:{secret}@db/x")._asdict(),
    lambda secret: {("db", "password"): secret, ("db", "host"): "x"},
    lambda secret: {"user[password]": secret, "password: ": secret},
    lambda secret: ["-----BEGIN RSA PRIVATE KEY-----", secret, "-----END RSA PRIVATE KEY-----"],
    lambda secret: {"key": {"lines": ["-----BEGIN PRIVATE KEY-----", secret, "", "-----END PRIVATE KEY-----"]}},
)


@pytest.mark.parametrize("build", CONTAINERS)
@given(secret=st.from_regex(r"[a-z]{3}[A-Za-z0-9]{4,20}[0-9]{2}", fullmatch=True))
def test_secret_in_any_container_is_removed(build: Callable[[str], Any], secret: str) -> None:
    text = str(to_label("x", build(secret)))
    assert secret not in text
    assert "[REDACTED]" in text


def test_neighbours_of_private_key_in_list_are_kept() -> None:
    lines = ["before", "-----BEGIN PRIVATE KEY-----", "MIIExample", "-----END PRIVATE KEY-----", "after"]
    assert to_label("x", lines) == '["before","[REDACTED]","after"]'


@pytest.mark.parametrize(
    "patient",
    [Patient(7, "flu"), ValidatedPatient(7, "flu"), AttrsPatient(7, "flu"), PatientModel(ward=7, diagnosis="flu")],
    ids=lambda patient: type(patient).__name__,
)
def test_field_hidden_from_repr_is_hidden_from_label(patient: Any) -> None:
    for value in (patient, [patient], {"patient": patient}):
        text = str(to_label("x", value))
        assert "7" in text
        assert "diagnosis" not in text
        assert "flu" not in text


def test_credential_as_key_of_label_is_removed() -> None:
    key = "sk-proj-" + "Ab3" * 16
    assert key not in str(to_label("counts", {key: 1}))


def test_label_that_holds_itself_ends() -> None:
    cycle: dict[str, Any] = {}
    cycle["self"] = [cycle]
    assert json.loads(str(to_label("x", cycle)))


class Counted(list[Any]):
    """Counts the items that are read, and raises after 10 000."""

    read = 0

    def __iter__(self) -> Any:
        for item in super().__iter__():
            self.read += 1
            if self.read > 10_000:
                raise RuntimeError("too many items are read")
            yield item


def test_million_items_of_label_are_not_read() -> None:
    text = str(to_label("x", Counted(range(1_000_000))))
    assert text.startswith("[0,1,2,")
    assert "characters cut" in text


@pytest.mark.parametrize("item", [[], {}, (), "", None, {"": ""}, [[], {}]], ids=repr)
@pytest.mark.parametrize("levels", [0, 14, 15])
def test_million_items_without_content_are_not_read(item: Any, levels: int) -> None:
    items = Counted([item] * 1_000_000)
    value: list[Any] = items
    for _ in range(levels):
        value = [value]
    assert str(to_label("x", value)).startswith("[")
    assert 100 < items.read <= 10_000


@pytest.mark.parametrize("references", [1, 2, 3, 100])
def test_label_that_holds_itself_several_times_ends(references: int) -> None:
    loop = Counted()
    loop.extend([loop] * references)
    assert str(to_label("x", loop)).startswith("[[[[")


@pytest.mark.parametrize(
    "value", [{"x": "\ud800"}, {"x": 2**70}, {"x": float("inf")}, {"x": object()}, {b"x": {1, "a"}}]
)
def test_label_of_values_that_json_does_not_have_is_written(value: Any) -> None:
    assert json.loads(str(to_label("x", value)))


def test_label_with_raising_value_is_written() -> None:
    class Broken(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError("no items")

    assert to_label("x", Broken()) == "<Broken without a text form>"


def test_log_line_and_prompt_have_same_form() -> None:
    messages = [{"role": "user", "content": "hello", "api_key": "k-17"}]
    with recording(capture_content=True) as recorded:
        inferlog.get_logger().info("asked", messages=messages)
        inferlog.capture_content(input=messages)
    (line,), (content,) = recorded.log_lines, recorded.contents
    written = '[{"role":"user","content":"hello","api_key":"[REDACTED]"}]'
    assert line["labels"]["messages"] == content["gen_ai"]["input"]["text"] == written


@pytest.mark.parametrize("name", FIELDS)
def test_field_accepts_or_rejects_container_without_other_error(name: str) -> None:
    for value in ({"a": 1}, [Mode.FAST], np.True_):
        try:
            check_value(name, value)
        except InvalidFieldError:
            continue
