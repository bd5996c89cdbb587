"""What the service says where it cannot be put together."""

import sys

import pytest

from inferlog_server.app import create_app
from inferlog_server.errors import StartError
from inferlog_server.settings import Settings


def test_machine_on_which_llama_cpp_cannot_be_loaded_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("inferlog_server.inference.llama", "inferlog_server.inference.llama_engine"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(StartError, match="apt install libgomp1"):
        create_app(Settings(backend="llama"))
