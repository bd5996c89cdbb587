"""Running services, shared by the session, because a start takes one second of processor time, or two with a model."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.chat_server import RunningServer, StartServer, run_server

_AT_ONCE = {"first_token_median_seconds": 0, "token_median_seconds": 0}


@pytest.fixture(scope="session")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The real model with the default settings."""
    with run_server(tmp_path_factory.mktemp("llama")) as server:
        yield server


@pytest.fixture(scope="session")
def single_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The real model with one slot and a queue of one request."""
    home = tmp_path_factory.mktemp("single")
    with run_server(home, llama_parallel_requests=1, queue_limit_requests=1) as server:
        yield server


@pytest.fixture(scope="session")
def impatient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The real model on one processor, with one slot and a deadline of 2 s."""
    one_thread: dict[str, Any] = {"llama_parallel_requests": 1, "llama_threads": 1}
    home = tmp_path_factory.mktemp("impatient")
    with run_server(home, **one_thread, context_tokens=8192, deadline_seconds=2.0) as server:
        yield server


@pytest.fixture(scope="session")
def simulated_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The simulated model without delays: v1 gets 3 of 4 requests, v2 the fourth, and the version failing fails."""
    versions = [
        {"name": "v1", "share": 3, "simulated": _AT_ONCE},
        {"name": "v2", "share": 1, "simulated": _AT_ONCE},
        {"name": "failing", "share": 0, "simulated": _AT_ONCE | {"failure_share": 1}},
    ]
    home = tmp_path_factory.mktemp("simulated")
    with run_server(home, backend="simulated", versions=versions, body_timeout_seconds=0.5) as server:
        yield server


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Return a function that starts a service with its arguments as settings."""
    with ExitStack() as servers:

        def start(**settings: Any) -> RunningServer:
            return servers.enter_context(run_server(tmp_path_factory.mktemp("server"), **settings))

        yield start
