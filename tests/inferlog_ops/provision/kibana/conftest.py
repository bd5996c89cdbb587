"""A stand-in for Kibana, its API key, and a copy of all files that provisioning reads."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.provision.kibana import data_views
from inferlog_ops.provision.kibana.address import Kibana
from inferlog_ops.query import library as query_files
from inferlog_ops.query.dashboards import files as dashboard_files
from inferlog_ops.query.dashboards import slo
from inferlog_ops.query.rules import rules as rule_files
from tests.support.kibana_stand_in import API_KEY, KibanaStandIn, stand_in


@pytest.fixture(autouse=True)
def _no_kibana_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the Kibana settings of the developer's shell."""
    for name in ("KIBANA_URL", "KIBANA_API_KEY", "KIBANA_CA_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[KibanaStandIn]:
    with stand_in() as kibana:
        yield kibana


@pytest.fixture
def kibana(server: KibanaStandIn) -> Kibana:
    """The stand-in with a valid API key."""
    return Kibana(base_url=server.url, api_key=API_KEY)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of dashboards/ and kibana/, which is read from now on."""
    for folder in ("dashboards", "kibana"):
        shutil.copytree(find_asset_dir(folder), tmp_path / "files" / folder)
    for module in (rule_files, dashboard_files, slo, data_views, query_files):
        monkeypatch.setattr(module, "find_asset_dir", lambda name: tmp_path / "files" / name)
    return tmp_path / "files"
