"""``client.id``, the hash of the caller's credential, for the audit trail."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.chat_server import format_options, run_server

KEY = "sk-" + "0123456789abcdefABCDEF"  # fake, and in two parts so that scanners do not report it


def test_credential_of_the_caller_is_written_as_hash_only(tmp_path: Path) -> None:
    with run_server(tmp_path / "server", backend="simulated", client_id_header="authorization") as server:
        answers = [server.ask(headers={"Authorization": f"Bearer {key}"}) for key in (KEY, "EMPTY", KEY)]
        answers.append(server.ask())
        callers = [server.wait_for_event(answer.headers["x-request-id"]).get("client") for answer in answers]
        assert server.terminate() == 0

    known, other, again, nobody = callers
    assert known == again == {"id": hashlib.blake2b(f"Bearer {KEY}".encode(), digest_size=16).hexdigest()}
    assert other not in (known, None)
    assert nobody is None
    assert not [path for path in server.home.rglob("*") if path.is_file() and KEY in path.read_text()]


def test_plain_credential_is_rejected_at_start_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERLOG_CLIENT_ID_PLAIN", "true")
    service = subprocess.run(
        [
            sys.executable,
            "-m",
            "inferlog_server",
            *format_options(backend="simulated", client_id_header="authorization"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert service.returncode == 1
    assert service.stderr == (
        "inferlog_server: client_id_header is 'authorization', a header with a credential, and client_id_plain would "
        "write it unhashed; expected another header, or client_id_plain off\n"
    )
