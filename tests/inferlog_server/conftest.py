"""Services to ask, with the real model unless a test says otherwise."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from chat_server import RunningServer, StartServer, running_server


@pytest.fixture(scope="session")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The real model with the default settings, one for the whole run."""
    with running_server(tmp_path_factory.mktemp("llama")) as server:
        yield server


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Return a function that starts a service with the settings given."""
    with ExitStack() as servers:

        def start(**settings: Any) -> RunningServer:
            return servers.enter_context(running_server(tmp_path_factory.mktemp("server"), **settings))

        yield start
