"""The stack without its own Elasticsearch and Kibana, for people who have them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support import compose_go
from tests.support.compose_go import ROOT

OVERRIDE = ROOT / "infra" / "compose" / "existing-cluster.yml"
SETTINGS = {
    "ELASTICSEARCH_URL": "https://elasticsearch.example:9200",
    "INFERLOG_CLUSTER_SECRETS": "/etc/inferlog/secrets",
}


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """The stack as it is with everything in it."""
    return compose_go.load_valid(ROOT / "docker-compose.yml")


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    """The same with the override over it."""
    return compose_go.load_valid(ROOT / "docker-compose.yml", OVERRIDE, **SETTINGS)


def test_only_app_and_fluentd_remain(stack: dict[str, Any]) -> None:
    assert set(stack["services"]) == {"app", "app-canary", "fluentd", "traffic"}


def test_every_image_of_ours_is_built(stack: dict[str, Any]) -> None:
    assert all("build" in service for name, service in stack["services"].items() if name != "app-canary")


def test_no_service_depends_on_a_removed_one(stack: dict[str, Any]) -> None:
    needed = {name: set(service.get("depends_on") or {}) for name, service in stack["services"].items()}
    assert needed == {"app": set(), "app-canary": set(), "fluentd": set(), "traffic": {"app"}}


def test_fluentd_finds_the_cluster_its_authority_and_its_key(stack: dict[str, Any]) -> None:
    fluentd = stack["services"]["fluentd"]
    assert {name: value for name, value in fluentd["environment"].items() if value is not None} == {
        "ELASTICSEARCH_URL": SETTINGS["ELASTICSEARCH_URL"],
        "ELASTICSEARCH_MAJOR_VERSION": "9",
        "ELASTICSEARCH_CA_FILE": "/etc/ssl/certs/ca-certificates.crt",
        "ELASTICSEARCH_API_KEY_FILE": "/secrets/elasticsearch_api_key",
        "INFERLOG_NAMESPACE": "default",
    }
    mounts = {mount["target"]: mount for mount in fluentd["volumes"]}
    assert set(mounts) == {"/var/log/inferlog", "/fluentd/state", "/secrets"}
    secrets = mounts["/secrets"]
    assert (secrets["source"], secrets["read_only"]) == (SETTINGS["INFERLOG_CLUSTER_SECRETS"], True)
    assert secrets["bind"] == {"create_host_path": False}, "a missing folder is an error, not an empty folder"


def test_an_authority_of_ones_own_is_one_setting() -> None:
    stack = compose_go.load_valid(
        ROOT / "docker-compose.yml",
        OVERRIDE,
        **SETTINGS,
        INFERLOG_CLUSTER_CA_FILE="/secrets/ca.crt",
    )
    assert stack["services"]["fluentd"]["environment"]["ELASTICSEARCH_CA_FILE"] == "/secrets/ca.crt"


def test_remaining_services_keep_their_hardening(alone: dict[str, Any], stack: dict[str, Any]) -> None:
    changed = {"depends_on", "environment", "volumes", "build"}
    for name, service in stack["services"].items():
        before = alone["services"][name]
        assert {key: service[key] for key in service.keys() - changed} == {
            key: before[key] for key in before.keys() - changed
        }


@pytest.mark.parametrize("missing", SETTINGS)
def test_missing_setting_is_reported(missing: str) -> None:
    settings = {name: value for name, value in SETTINGS.items() if name != missing}
    done = compose_go.read(ROOT / "docker-compose.yml", OVERRIDE, **settings)
    assert done.returncode == 1
    assert missing in done.stderr
    assert "set it in .env to" in done.stderr


def test_documented_api_key_has_only_the_privileges_of_the_role() -> None:
    page = (ROOT / "docs" / "existing_cluster.md").read_text()
    request, _of_summarize = re.findall(r"```json\n\s*POST /_security/api_key\n(.*?)```", page, re.DOTALL)
    role = json.loads((ROOT / "infra/elasticsearch/roles/inferlog_fluentd.json").read_text())
    asked = json.loads(request)["role_descriptors"]["inferlog_fluentd"]
    assert asked == {"indices": role["indices"]}


def test_the_command_that_starts_it_is_the_same_everywhere() -> None:
    command = f"docker compose -f docker-compose.yml -f {OVERRIDE.relative_to(ROOT)} up --build --detach --wait"
    for place in (OVERRIDE, Path(ROOT / "docs" / "existing_cluster.md")):
        assert command in place.read_text()
