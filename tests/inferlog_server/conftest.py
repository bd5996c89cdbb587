"""Services to ask. Those of the whole run are shared: a start takes a second of processor time, or two with a model."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.chat_server import RunningServer, StartServer, running_server

_AT_ONCE = {"first_token_median_seconds": 0, "token_median_seconds": 0}


@pytest.fixture(scope="session")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The real model with the default settings."""
    with running_server(tmp_path_factory.mktemp("llama")) as server:
        yield server


@pytest.fixture(scope="session")
def single_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The real model, which answers one request at a time while one other may wait."""
    home = tmp_path_factory.mktemp("single")
    with running_server(home, llama_parallel_requests=1, queue_limit_requests=1) as server:
        yield server


@pytest.fixture(scope="session")
def impatient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The real model on one processor, however many there are: it answers one request at a time and gives it 2 s."""
    one_thread = {"llama_parallel_requests": 1, "llama_threads": 1}
    home = tmp_path_factory.mktemp("impatient")
    with running_server(home, **one_thread, context_tokens=8192, deadline_seconds=2.0) as server:
        yield server


@pytest.fixture(scope="session")
def simulated_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """No model: v1 gets 3 requests of 4 and v2 the fourth, answered at once; whoever asks for it gets a failure."""
    versions = [
        {"name": "v1", "share": 3, "simulated": _AT_ONCE},
        {"name": "v2", "share": 1, "simulated": _AT_ONCE},
        {"name": "failing", "share": 0, "simulated": _AT_ONCE | {"failure_share": 1}},
    ]
    home = tmp_path_factory.mktemp("simulated")
    with running_server(home, backend="simulated", versions=versions, body_timeout_seconds=0.5) as server:
        yield server


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Return a function that starts a service with the settings given."""
    with ExitStack() as servers:

        def start(**settings: Any) -> RunningServer:
            return servers.enter_context(running_server(tmp_path_factory.mktemp("server"), **settings))

        yield start
