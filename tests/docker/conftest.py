"""One stack for all tests of this folder, started as in a fresh clone."""

from collections.abc import Iterator

import pytest

from tests.docker.stack import Stack, is_engine_there

PORTS = {"ELASTICSEARCH_PORT": "29200", "KIBANA_PORT": "25601", "APP_PORTS": "28000", "CANARY_PORT": "28010"}


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack after ``docker compose up``; deleted at the end."""
    if "docker" not in request.config.option.markexpr:
        pytest.skip("starts containers for minutes; select it: pytest -m docker tests/docker")
    if not is_engine_there():
        pytest.skip("no Docker engine answers")
    stack = Stack.copy(tmp_path_factory.mktemp("checkout"), **PORTS, INFERLOG_SERVER_BACKEND="simulated")
    stack.remove()
    try:
        stack.bring_up()
        yield stack
    finally:
        stack.remove()
