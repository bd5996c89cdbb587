"""The manifests of infra/kubernetes as kustomize builds them: schemas, Pod Security, rules that protect a service."""

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from inferlog.settings import Settings
from inferlog_ops.provision.stack.kubernetes import SECRET
from tests import ROOT
from tests.support.kustomize import build

KUBERNETES = ROOT / "infra/kubernetes"
FOLDERS = ["example", *(f"overlays/{path.name}" for path in sorted((KUBERNETES / "overlays").iterdir()))]
VERSIONS = ["1.30", "1.34", "1.37"]
"""The first with native sidecars and the preStop hook `sleep`, that of the tests, and the newest known schema."""
GUIDE = (ROOT / "docs/kubernetes.md").read_text()
_UNITS = {"m": 1 << 20, "g": 1 << 30, "Mi": 1 << 20, "Gi": 1 << 30}


@cache
def build_objects(folder: str) -> list[dict[str, Any]]:
    return build(KUBERNETES / folder)


def find_pods(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and specification of each pod."""
    for each in build_objects(folder):
        spec = each.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            yield each["metadata"]["name"], template["spec"]


def find(folder: str, kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in build_objects(folder) if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def find_sidecar(spec: dict[str, Any]) -> dict[str, Any]:
    (found,) = [each for each in spec.get("initContainers", []) if each.get("restartPolicy") == "Always"]
    return dict(found)


def parse_bytes(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w+)", text).groups()  # type: ignore[union-attr]
    return int(number) * _UNITS[unit]


def read_settings_of_fluentd(folder: str = "example") -> dict[str, str]:
    (found,) = [each for each in build_objects(folder) if each["metadata"]["name"].startswith("inferlog-fluentd-")]
    return dict(found["data"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_object_matches_the_schema_of_the_api(folder: str, version: str) -> None:
    known = [each for each in build_objects(folder) if "elastic.co" not in each["apiVersion"]]
    assert len(known) >= 14
    for each in known:
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_pod_meets_the_restricted_standard_and_more(folder: str) -> None:
    """The standard of Kubernetes, and also: read-only root, a limit of memory, no token of the API."""
    assert (
        find(folder, "Namespace", "inferlog")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        == "restricted"
    )
    for name, spec in find_pods(folder):
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is (name == "inferlog-setup"), name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, (name, container["name"])
            assert security["capabilities"] == {"drop": ["ALL"]}, (name, container["name"])
            assert security["readOnlyRootFilesystem"], (name, container["name"])
            assert "privileged" not in security
            assert "memory" in container["resources"]["limits"], (name, container["name"])
        for volume in spec["volumes"]:
            assert set(volume) - {"name"} <= {"emptyDir", "secret", "configMap"}, (name, volume)
            assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""}), f"{name}: unlimited {volume}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_sidecar_can_neither_delay_the_service_nor_take_it_out_of_rotation(folder: str) -> None:
    (spec,) = [spec for name, spec in find_pods(folder) if name == "scoring"]
    assert not {key for key in find_sidecar(spec) if key.endswith("Probe")}


@pytest.mark.parametrize("folder", ["example", "overlays/ship"])
def test_grace_period_contains_the_steps_of_a_pods_end(folder: str) -> None:
    (spec,) = [spec for name, spec in find_pods(folder) if name == "scoring"]
    (app,) = spec["containers"]
    pre_stop = app["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = (
        int(read_settings_of_fluentd()["INFERLOG_FLUENTD_DRAIN_SECONDS"])
        if folder == "example"
        else int(find_sidecar(spec)["command"][-1])
    )
    shutdown = 10
    assert pre_stop > 0, "without it a rollout refuses requests"
    assert pre_stop + shutdown + drain < spec["terminationGracePeriodSeconds"]
    assert drain > 120 + 30, "two minutes without Elasticsearch and the longest wait between two attempts"


def test_volumes_are_larger_than_the_limits_of_their_writers() -> None:
    """Kubernetes evicts a pod whose volume exceeds its limit, and deletes its lines."""
    (spec,) = [spec for name, spec in find_pods("example") if name == "scoring"]
    limits = {each["name"]: each.get("emptyDir", {}).get("sizeLimit") for each in spec["volumes"]}
    assert parse_bytes(limits["inferlog-logs"]) >= 1.2 * Settings().max_total_bytes
    buffer = parse_bytes(read_settings_of_fluentd()["INFERLOG_FLUENTD_TOTAL_LIMIT_SIZE"])
    assert parse_bytes(limits["inferlog-state"]) >= 2 * buffer


def test_set_up_may_only_read_and_change_one_secret() -> None:
    assert find("example", "Role", "inferlog-setup")["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET], "verbs": ["get", "patch"]}
    ]


def test_user_sets_two_addresses_and_a_password_that_is_in_no_file() -> None:
    values = (KUBERNETES / "example/values.env").read_text()
    assert re.findall(r"^(\w+)=https://\w+\.example", values, re.MULTILINE) == ["ELASTICSEARCH_URL", "KIBANA_URL"]
    given = {each["metadata"]["name"] for each in build_objects("example") if each["kind"] == "Secret"}
    assert given == {SECRET}
    assert not [each for each in build_objects("example") if each["kind"] == "Secret" and "data" in each]


def test_settings_of_fluentd_are_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE))
    given = {name for name in read_settings_of_fluentd() if name.startswith("INFERLOG_")}
    assert given <= documented


def test_images_are_those_that_docker_compose_builds() -> None:
    built = {
        f"{name}:local" for name in re.findall(r"image: (inferlog-\w+):", (ROOT / "docker-compose.yml").read_text())
    }
    used = {
        container["image"]
        for _, spec in find_pods("example")
        for container in [*spec["containers"], *spec.get("initContainers", [])]
    }
    assert used == built - {"inferlog-traffic:local"}


def test_patch_in_the_guide_adds_the_sidecar_to_another_deployment(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n# (\w+\.yaml)\n(.*?)```", GUIDE, re.DOTALL)
    assert [name for name, _ in blocks] == ["kustomization.yaml", "inferlog.yaml"]
    assert sum(text.count("\n") for _, text in blocks) < 40
    for name, text in blocks:
        (tmp_path / name).write_text(text.replace("../inferlog", os.path.relpath(KUBERNETES, tmp_path)))
    (tmp_path / "deployment.yaml").write_text(
        """
apiVersion: apps/v1
kind: Deployment
metadata: {name: my-service, labels: {inferlog.io/sidecar: "true"}}
spec:
  selector: {matchLabels: {app: my-service}}
  template:
    metadata: {labels: {app: my-service}}
    spec:
      containers:
        - name: server
          image: my-service:1
          env: [{name: MINE, value: kept}]
"""
    )
    (deployment,) = [each for each in build(tmp_path) if each["kind"] == "Deployment"]
    kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)
    spec = deployment["spec"]["template"]["spec"]
    (server,) = spec["containers"]
    assert find_sidecar(spec)["name"] == "fluentd"
    assert {"name": "MINE", "value": "kept"} in server["env"]
    assert {each["name"] for each in server["env"]} >= {"INFERLOG_SERVICE_NAME", "INFERLOG_LOG_DIR"}
    assert [each["mountPath"] for each in server["volumeMounts"]] == ["/var/log/inferlog"]
