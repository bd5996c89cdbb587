"""A stand-in for Kibana, the key to it, and a copy of all files that provisioning reads."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from kibana_stand_in import API_KEY, StandIn, stand_in

from inferlog_ops.alerts import rules as rule_files
from inferlog_ops.assets import asset_dir
from inferlog_ops.dashboards import library as dashboard_files
from inferlog_ops.dashboards import slo
from inferlog_ops.kibana import data_views
from inferlog_ops.kibana.address import Kibana
from inferlog_ops.queries import library as query_files


@pytest.fixture(autouse=True)
def _no_kibana_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the developer's shell says about a Kibana away from the tests."""
    for name in ("KIBANA_URL", "KIBANA_API_KEY", "KIBANA_CA_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as kibana:
        yield kibana


@pytest.fixture
def kibana(server: StandIn) -> Kibana:
    """The stand-in as a command sees it that has the right key."""
    return Kibana(base_url=server.url, api_key=API_KEY)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of dashboards/ and kibana/, which is read from now on."""
    for folder in ("dashboards", "kibana"):
        shutil.copytree(asset_dir(folder), tmp_path / "files" / folder)
    for module in (rule_files, dashboard_files, slo, data_views, query_files):
        monkeypatch.setattr(module, "asset_dir", lambda name: tmp_path / "files" / name)
    return tmp_path / "files"
