"""Properties of the container stack, checked without a Docker engine."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import compose_go
from tests.support.compose_go import ROOT, read_example_settings
from tests.support.schemas import validate_schema

Service = dict[str, Any]

_VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")
_SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY|CREDENTIAL", re.IGNORECASE)
ONE_SHOTS = {"prepare", "provision", "provision-kibana", "rotate", "redrive", "ready", "sample-traffic"}


@cache
def read_stack() -> dict[str, Any]:
    """docker-compose.yml with its defaults put in."""
    text = (ROOT / "docker-compose.yml").read_text()
    loaded: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(lambda match: match[3], text))
    return loaded


def read_services() -> dict[str, Service]:
    found: dict[str, Service] = read_stack()["services"]
    return found


def read_mounts(service: Service) -> dict[str, str]:
    """Volume or path to what follows it."""
    return dict(volume.split(":", 1) for volume in service.get("volumes", []))


each_service = pytest.mark.parametrize("name", read_services())


@each_service
def test_image_is_pinned_in_the_settings_and_names_no_registry(name: str) -> None:
    image = read_services()[name]["image"]
    repository, _, tag = image.rpartition(":")
    assert "." not in repository, "a registry's host"
    assert repository.startswith("inferlog-") or re.fullmatch(r"\d+\.\d+\.\d+", tag)


def test_own_image_is_built_by_one_service_and_never_pulled() -> None:
    """Compose builds in parallel; of two builds of one name, the second fails with "already exists"."""
    ours: dict[str, list[Service]] = {}
    for service in read_services().values():
        if service["image"].startswith("inferlog-"):
            ours.setdefault(service["image"], []).append(service)
    for users in ours.values():
        assert len([user for user in users if "build" in user]) == 1
        assert all(user["pull_policy"] == "never" for user in users)


@each_service
def test_temporary_folders_have_an_explicit_mode(name: str) -> None:
    """Docker 24 drops the sticky bit of a /tmp that has no mode, and Ruby refuses that: Fluentd would not start."""
    for folder in read_services()[name]["tmpfs"]:
        assert re.fullmatch(r"/[a-z/]+:(exec,)?mode=1777", folder)


@pytest.mark.parametrize("name", ["FLUENTD_VERSION", "PYTHON_VERSION"])
def test_base_of_our_images_is_pinned_to_an_exact_version(name: str) -> None:
    assert re.match(r"v?\d+\.\d+\.\d+-", read_example_settings()[name])


def test_every_setting_has_a_default_and_the_example_shows_it() -> None:
    """So that `docker compose up` needs no file .env."""
    used = {(match[1], match[3]) for match in _VARIABLE.finditer((ROOT / "docker-compose.yml").read_text())}
    assert dict(used - {("INFERLOG_VERSION", "local")}) == read_example_settings()
    assert len(used) == len(read_example_settings()) + 1, "the same default everywhere"


def test_every_number_of_fluentd_can_be_set_like_the_other_settings() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    documented = set(re.findall(r"^\| `(INFERLOG_FLUENTD_[A-Z_]+)` \|", page, re.MULTILINE))
    passed = {name for name, value in read_services()["fluentd"]["environment"].items() if value is None}
    assert passed == documented - {"INFERLOG_FLUENTD_STATE"}, "its state is on a volume"


@each_service
def test_container_is_neither_root_nor_able_to_become_it(name: str) -> None:
    service = read_services()[name]
    assert service["user"] == "1000:0"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert not {"privileged", "cap_add", "pid", "ipc", "devices"} & set(service)
    assert "docker.sock" not in str(service)


@each_service
def test_container_is_bounded(name: str) -> None:
    service = read_services()[name]
    assert re.fullmatch(r"\d+[mg]", str(service["mem_limit"]))
    assert float(service["cpus"]) > 0
    assert service["pids_limit"] > 0
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@each_service
def test_long_running_container_has_a_health_check(name: str) -> None:
    service = read_services()[name]
    if name in ONE_SHOTS:
        assert "healthcheck" not in service, "Compose before 5.0.2 ends --wait with an error if it is disabled"
        assert service["restart"] == "no"
    elif name == "summarize":
        assert "healthcheck" not in service, "nothing waits for it"
        assert service["restart"] == "unless-stopped"
    elif name == "fluentd":
        assert "HEALTHCHECK" in (ROOT / "fluentd" / "Dockerfile").read_text()
    else:
        assert service["healthcheck"]["test"]
        assert service["restart"] == "unless-stopped"


@each_service
def test_no_secret_is_in_environment_command_or_health_check(name: str) -> None:
    service = read_services()[name]
    for variable, value in service.get("environment", {}).items():
        if _SECRET_NAME.search(variable):
            assert variable.endswith("_FILE"), f"{variable} would be listed by docker inspect"
            assert str(value).startswith("/")
    shown = json.dumps([service.get("command"), service.get("healthcheck")])
    # What can be seen may name the certificate of the authority, and the error that a request without a password gets.
    known = shown.replace("secrets/ca.crt", "").replace("missing authentication credentials", "")
    assert not _SECRET_NAME.search(known)


@each_service
def test_port_is_open_to_this_machine_only(name: str) -> None:
    for port in read_services()[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+(-\d+)?:\d+", port)


def test_app_keeps_its_port() -> None:
    """Docker goes round in a range: each start, also after a crash, would use the next port."""
    assert read_services()["app"]["ports"] == ["127.0.0.1:8000:8000"]


def test_one_setting_disables_the_traffic_of_the_first_start() -> None:
    assert 'deploy: {replicas: "${SAMPLE_TRAFFIC:-1}"}' in (ROOT / "docker-compose.yml").read_text()
    command = read_services()["sample-traffic"]["command"]
    assert {"--skip-if-recorded", "--records=/records/sample.jsonl", "--rate=1", "--duration=3m"} <= set(command)


def test_services_start_after_their_dependencies() -> None:
    needed = {name: service.get("depends_on", {}) for name, service in read_services().items()}
    done, well = {"condition": "service_completed_successfully"}, {"condition": "service_healthy"}
    assert needed == {
        "prepare": {},
        "elasticsearch": {"prepare": done},
        "provision": {"elasticsearch": well},
        "kibana": {"provision": done},
        "provision-kibana": {"kibana": well},
        "rotate": {"elasticsearch": well},
        "redrive": {"elasticsearch": well},
        "summarize": {"provision": done},
        "fluentd": {"provision": done},
        "app": {"prepare": done},
        "app-canary": {"prepare": done},
        "traffic": {"app": well},
        "sample-traffic": {"app": well, "provision": done},
        "ready": {"app": well, "fluentd": well, "provision-kibana": done},
    }


def test_app_and_fluentd_share_the_logs_and_nothing_else() -> None:
    shared = set(read_mounts(read_services()["app"])) & set(read_mounts(read_services()["fluentd"]))
    assert shared == {"logs"}
    assert set(read_mounts(read_services()["app"])) == {"logs"}


@pytest.mark.parametrize(
    ("volume", "readers"),
    [
        ("authority", {"prepare"}),
        ("elasticsearch-secrets", {"prepare", "elasticsearch", "provision", "provision-kibana", "rotate", "redrive"}),
        ("kibana-secrets", {"prepare", "kibana", "provision", "rotate"}),
        ("fluentd-secrets", {"prepare", "fluentd", "provision", "rotate"}),
        ("operator-secrets", {"prepare", "provision", "rotate"}),
        ("summarize-secrets", {"prepare", "provision", "rotate", "summarize"}),
    ],
)
def test_secret_is_mounted_where_it_is_needed_and_nowhere_else(volume: str, readers: set[str]) -> None:
    mounted = {
        name: read_mounts(service)[volume]
        for name, service in read_services().items()
        if volume in read_mounts(service)
    }
    assert set(mounted) == readers
    for name, where in mounted.items():
        if name not in ONE_SHOTS:
            assert where.endswith(":ro")


def test_links_in_alerts_lead_to_the_port_that_was_chosen() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert "SERVER_PUBLICBASEURL: https://localhost:${KIBANA_PORT:-5601}" in text
    assert "publicBaseUrl" not in (ROOT / "kibana" / "kibana.yml").read_text(), "an argument would win over it"


@each_service
def test_only_the_configuration_comes_from_the_checkout_and_cannot_be_written(name: str) -> None:
    paths = {path: where for path, where in read_mounts(read_services()[name]).items() if path.startswith((".", "/"))}
    assert all(where.endswith(":ro,z") for where in paths.values()), "z: SELinux would not let it be read"
    assert set(paths) <= {"./kibana/kibana.yml"}


def test_every_named_volume_is_declared_and_used() -> None:
    used = {
        volume for service in read_services().values() for volume in read_mounts(service) if not volume.startswith(".")
    }
    assert used == set(read_stack()["volumes"])


def test_fluentd_has_a_minute_to_stop() -> None:
    assert read_services()["fluentd"]["stop_grace_period"] == "60s"


def test_one_setting_disables_read_only_roots() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert text.count("read_only: ${ELASTIC_READ_ONLY:-true}") == 2


def test_kibana_has_no_secret_in_its_environment_and_no_internet_access() -> None:
    settings = yaml.safe_load((ROOT / "kibana" / "kibana.yml").read_text())
    assert not [name for name in settings if re.search(r"password|encryptionKey", name)]
    assert settings["telemetry.optIn"] is settings["telemetry.allowChangingOptInStatus"] is False
    assert "uiSettings.overrides.defaultRoute" not in settings, "it depends on the namespace: prepare writes it"


def test_specification_knows_every_key() -> None:
    done = validate_schema("vendor.compose-spec", ROOT / "docker-compose.yml", ROOT / ".ci" / "stack.yml")
    assert done.returncode == 0, done.stdout


def test_specification_refuses_a_key_that_it_does_not_know(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text((ROOT / "docker-compose.yml").read_text().replace("mem_limit:", "memory_limit:"))
    done = validate_schema("vendor.compose-spec", wrong)
    assert done.returncode == 1
    assert "memory_limit" in done.stdout


@pytest.fixture(scope="module")
def loaded_by_compose() -> dict[str, Any]:
    """The stack as the loader inside ``docker compose`` reads it, without any setting."""
    return compose_go.load_valid(ROOT / "docker-compose.yml")


def test_docker_compose_reads_the_same_services_as_these_tests(loaded_by_compose: dict[str, Any]) -> None:
    assert set(loaded_by_compose["services"]) == set(read_services())
    for name, service in loaded_by_compose["services"].items():
        assert service["image"] == read_services()[name]["image"]
        environment = read_services()[name].get("environment", {})
        assert (service.get("environment") or {}) == {
            variable: value if value is None else str(value) for variable, value in environment.items()
        }
        assert service["read_only"] is True
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", []))


def test_docker_compose_refuses_what_the_specification_does_not_know(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text("name: x\nservices:\n  a:\n    image: b:1\n    memory_limit: 1g\n")
    done = compose_go.read(wrong)
    assert done.returncode == 1
    assert "memory_limit" in done.stderr
