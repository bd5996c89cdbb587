"""Errors of the application at start."""

import sys

import pytest

from inferlog_server.app import create_app
from inferlog_server.errors import StartError
from inferlog_server.settings import ServerSettings


def test_app_raises_with_the_install_command_when_llama_cpp_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("inferlog_server.inference.llama", "inferlog_server.inference.llama"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(StartError, match="apt install libgomp1"):
        create_app(ServerSettings(backend="llama"))
