"""What many tests share: one real engine a run, a namespace of its own for each test."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from inferlog_ops.cluster import Cluster
from inferlog_ops.engine import control
from inferlog_ops.home import Home

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the developer's shell says about a cluster or a home away from the tests."""
    for name in os.environ:
        if name.startswith(("ELASTICSEARCH_", "INFERLOG_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The home of the run's one engine, which is running."""
    home = Home(tmp_path_factory.mktemp("home"))
    control.start(home.engine)
    yield home
    control.stop(home.engine)


@pytest.fixture(scope="session")
def engine_url(home: Home) -> str:
    """The address of a real Elasticsearch in a home of its own."""
    url = control.running_url(home.engine)
    assert url, "the engine of this run has died"
    return url


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test writes to: the engine cannot delete a data stream."""
    return f"t{uuid4().hex[:15]}"


@pytest.fixture
def cluster(engine_url: str, namespace: str) -> Cluster:
    """The run's engine, seen through the test's own namespace."""
    return Cluster(url=engine_url, namespace=namespace)


@pytest.fixture
def provisioned(cluster: Cluster) -> Cluster:
    """The same, with every template and data stream in place."""
    from inferlog_ops.provisioning import provision_cluster  # noqa: PLC0415 (few tests need it)

    provision_cluster(cluster)
    return cluster
