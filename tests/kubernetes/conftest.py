"""One installation for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.kubernetes.cluster import Installation, install, is_cluster_there


@pytest.fixture(scope="session")
def installation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The example of infra/kubernetes in a namespace of its own, deleted at the end."""
    if "kubernetes" not in request.config.option.markexpr:
        pytest.skip("ends pods for minutes; select it: pytest -m kubernetes tests/kubernetes")
    if not is_cluster_there():
        pytest.skip("no Kubernetes answers kubectl")
    with install(tmp_path_factory.mktemp("kubernetes")) as installation:
        yield installation
