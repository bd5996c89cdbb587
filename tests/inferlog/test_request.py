"""Client ids, correlation ids and trace contexts of a request."""

import hashlib
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import inferlog
from inferlog.client_id import ClientIds, check_client_id, decode_header
from inferlog.event import is_valid_id
from inferlog.request import Trace, parse_traceparent
from inferlog.settings import Settings, SettingsError
from inferlog.testing import recording
from tests.support.logfiles import Logs

KEY = b"0123456789abcdef"
# Made up; in two parts, so that scanners do not take it for real.
API_KEY = "sk-" + "proj-0123456789abcdefABCDEF"


def hash_id(text: str, key: bytes = b"") -> str:
    """Hash an id as documented in docs/audit.md."""
    return hashlib.blake2b(text.encode(), key=key, digest_size=16).hexdigest()


def test_bound_id_is_hashed() -> None:
    with recording() as recorded, inferlog.track_performance("predict") as call:
        call.client_id = "acme"
    assert recorded.event["client"] == {"id": hash_id("acme")}


def test_key_changes_hash(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_bytes(KEY + b"\n")
    with recording(client_id_key_file=key_file) as recorded, inferlog.track_performance("predict"):
        inferlog.bind_inference(client_id="acme")
    assert recorded.event["client"] == {"id": hash_id("acme", KEY)}
    assert recorded.event["client"] != {"id": hash_id("acme")}


def test_plain_ids_are_written_as_they_are_and_cut() -> None:
    with recording(client_id_plain=True) as recorded:
        for client_id in ("acme", "kim@example.org", "x" * 300):
            with inferlog.track_performance(client_id=client_id):
                pass
    written = [event["client"]["id"] for event in recorded.events]
    assert written == ["acme", "kim@example.org", "x" * 256 + "… [44 characters cut]"]


@pytest.mark.parametrize("credential", [API_KEY, f"Bearer {API_KEY}", "Bearer 0123456789abcdef"])
def test_id_with_shape_of_credential_is_hashed_in_plain_mode(credential: str) -> None:
    with recording(client_id_plain=True) as recorded, inferlog.track_performance(client_id=credential):
        pass
    assert recorded.event["client"] == {"id": hash_id(credential)}


@pytest.mark.parametrize(("bound", "as_text"), [(17, "17"), (UUID(int=5), str(UUID(int=5)))])
def test_number_or_uuid_is_id_too(bound: object, as_text: str) -> None:
    with recording() as recorded, inferlog.track_performance(client_id=bound):
        pass
    assert recorded.event["client"] == {"id": hash_id(as_text)}


@pytest.mark.parametrize("nonsense", [b"hunter22", ["hunter22"], {"id": "hunter22"}, True, 1.5, ""])
def test_invalid_id_is_rejected_by_type_and_never_quoted(logs: Logs, nonsense: object) -> None:
    with inferlog.track_performance(client_id=nonsense):
        pass
    assert "client" not in logs.event
    (line,) = logs.read_lines("app")
    assert line["labels"]["reasons"].startswith("client_id: ")
    assert all("hunter22" not in path.read_text() for path in logs.directory.iterdir() if path.is_file())


def test_id_that_cannot_be_found_in_result_is_not_quoted(logs: Logs) -> None:
    def who(result: str) -> str:
        raise LookupError(f"nobody is called {result}")

    @inferlog.track_performance(client_id=who)
    def predict() -> str:
        return "hunter22"

    predict()
    assert "client" not in logs.event
    (line,) = logs.read_lines("app")
    assert line["labels"] == {"reasons": "client_id: LookupError"}


@given(st.text(st.characters(), min_size=1), st.booleans())
def test_any_text_has_hash(text: str, plain: bool) -> None:
    written = ClientIds(KEY, plain=plain)(text)
    assert written.encode()
    assert plain or (len(written) == 32 and written == ClientIds(KEY, plain=False)(text))


@given(st.binary())
def test_any_header_is_text(raw: bytes) -> None:
    assert ClientIds(b"", plain=False)(decode_header(raw))


def test_settings_are_read_from_environment(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    settings = Settings.read(
        {},
        {
            "INFERLOG_CLIENT_ID_HEADER": "X-Client-Id",
            "INFERLOG_CLIENT_ID_PLAIN": "true",
            "INFERLOG_CLIENT_ID_KEY_FILE": str(key_file),
        },
    )
    assert (settings.client_id_header, settings.client_id_plain) == ("x-client-id", True)
    assert settings.client_id_key_file == key_file


@pytest.mark.parametrize("header", ["Authorization", "cookie", "X-Api-Key", "Proxy-Authorization"])
def test_header_with_credential_is_rejected_where_it_would_be_written_plain(header: str) -> None:
    wanted = "expected another header, or client_id_plain off"
    with pytest.raises(SettingsError, match=f"client_id_header is '{header.lower()}', a header with.*{wanted}"):
        Settings.read({"client_id_header": header, "client_id_plain": True}, {})
    with pytest.raises(SettingsError, match=f"client_id is '{header}', a header with.*{wanted}"):
        check_client_id(header, Settings(client_id_plain=True))
    assert check_client_id(header, Settings()) == header.lower()


@pytest.mark.parametrize("name", ["x client", "x-client:", "", "ü"])
def test_invalid_header_name_is_rejected(name: str) -> None:
    with pytest.raises(SettingsError, match="client_id is .*; expected a header name"):
        check_client_id(name, Settings())
    with pytest.raises(SettingsError, match="client_id_header is .*; expected"):
        Settings.read({"client_id_header": name}, {})


def test_client_id_of_other_type_is_rejected() -> None:
    with pytest.raises(SettingsError, match="client_id is 17; expected a header name or a callable"):
        check_client_id(17, Settings())  # type: ignore[arg-type]


def test_key_file_without_valid_key_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short")
    with (
        pytest.raises(SettingsError, match=r"client_id_key_file .*key contains 5 bytes; expected 16 to 64"),
        recording(client_id_key_file=tmp_path / "key"),
    ):
        pass


def test_caller_is_found_by_documented_hash() -> None:
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    (formula,) = [line for line in page.splitlines() if line.startswith("hashlib.")]
    for key in (b"", KEY):
        assert eval(formula, {"hashlib": hashlib, "key": key}) == ClientIds(key, plain=False)("acme")


@given(st.text())
def test_kept_id_cannot_forge_line(text: str) -> None:
    if is_valid_id(text):
        assert 1 <= len(text) <= 64
        assert text.isascii()
        assert not set(text) & set('\n\r\t "\\{}:,')


@pytest.mark.parametrize("text", ["", "a" * 65, "a\n", "a b", "é", "１", "a\0", "../x"[:3] + "/"])
def test_other_ids_are_not_kept(text: str) -> None:
    assert not is_valid_id(text)


def test_valid_traceparent_is_read() -> None:
    trace = parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    assert trace == Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


@pytest.mark.parametrize("more", ["", "-", "-more", "-" + "x" * 200])
def test_traceparent_of_future_version_is_read(more: str) -> None:
    trace = parse_traceparent(f"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01{more}")
    assert trace == Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
        # More than that only a version to come may have, and it goes on to others as it came.
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-\xbcmore",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more\rX-Other: 1",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-two words",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-" + "x" * 201,
    ],
)
def test_invalid_traceparent_is_ignored(header: str) -> None:
    assert parse_traceparent(header) is None
