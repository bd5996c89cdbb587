"""Shared fixtures: one real engine per run, and one namespace per test."""

import os
from collections import Counter
from collections.abc import Generator, Iterator
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.home import Home
from inferlog_ops.engine import control

DEAR = ("tests/inferlog_ops/provision/stack/", "tests/inferlog_server/")
"""Folders whose tests share an expensive fixture: a secured Elasticsearch, or a service with a model."""

LONG = (*DEAR, "tests/benchmarks/", "tests/chaos/", "tests/inferlog_ops/demo/", "tests/inferlog_ops/engine/")
"""Folders whose tests start whole stacks: at the end of a run, one of their files would leave a worker idle."""

ENGINE_OPTIONS = "INFERLOG_ENGINE_JAVA_OPTIONS"

# Dozens of engines run for seconds each: with Java's first compiler alone, a start takes a third of the processor time.
os.environ[ENGINE_OPTIONS] = "-XX:TieredStopAtLevel=1"

# The duration of an example depends on the shared machine.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the developer's settings of a cluster or a home from the environment."""
    for name in os.environ:
        if name.startswith(("ELASTICSEARCH_", "INFERLOG_")) and name != ENGINE_OPTIONS:
            monkeypatch.delenv(name)


def _find_scope(nodeid: str) -> str:
    return next((folder for folder in DEAR if nodeid.startswith(folder)), nodeid.partition("::")[0])


class _FileOrFolderScheduling(LoadScopeScheduling):
    """Scheduler that sends all tests of a file, or of a folder with expensive fixtures, to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return _find_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # the tests are in order already
    return _FileOrFolderScheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with long tests, then with files of many tests, so that all workers end at about the same time."""
    sizes = Counter(_find_scope(item.nodeid) for item in items)
    items.sort(key=lambda item: (not item.nodeid.startswith(LONG), -sizes[_find_scope(item.nodeid)]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in logged text, because workers cannot serialize them."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Home of the run's engine."""
    from tests.support.engine_of_the_run import open_engine_of_the_run  # noqa: PLC0415 (few tests need it)

    own = tmp_path_factory.getbasetemp()
    with open_engine_of_the_run(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) as home:
        yield home


@pytest.fixture(scope="session")
def engine_url(home: Home) -> str:
    """Address of a real Elasticsearch."""
    url = control.find_running_url(home.engine)
    assert url, "the engine of this run has died"
    return url


@pytest.fixture
def namespace() -> str:
    """Namespace of this test only, because the engine cannot delete a data stream."""
    return f"t{uuid4().hex[:15]}"


@pytest.fixture
def cluster(engine_url: str, namespace: str) -> Cluster:
    """The run's engine with the test's namespace."""
    return Cluster(url=engine_url, namespace=namespace)


@pytest.fixture
def provisioned(cluster: Cluster) -> Cluster:
    """The same, with all templates and data streams."""
    from inferlog_ops.provision.elasticsearch import provision_cluster  # noqa: PLC0415 (few tests need it)

    provision_cluster(cluster)
    return cluster
