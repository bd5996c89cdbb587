"""The example of infra/kubernetes in a real cluster, with Elasticsearch and Kibana in the same namespace."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import urllib3

from inferlog_ops.provision.stack.prepare import prepare
from inferlog_ops.provision.stack.settings import StackSettings
from tests import ROOT
from tests.support.polling import wait_until
from tests.support.reconciling import read_result

KUBECTL = os.environ.get("INFERLOG_TEST_KUBECTL", "kubectl").split()
"""Command of kubectl."""
NAMESPACE = "inferlog"
SERVICE = "app.kubernetes.io/name=scoring"
"""Label of the pods of the service."""
_TAG = os.environ.get("INFERLOG_VERSION", "local")
_FOLDER = Path(__file__).parent
_STREAMS = "logs-inference.*"
_PROXY = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


def run_kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """Run kubectl in the namespace of the tests and return its output."""
    done = subprocess.run(
        [*KUBECTL, "--namespace", NAMESPACE, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert not check or done.returncode == 0, f"kubectl {arguments}: {done.stdout[-1000:]}{done.stderr[-1000:]}"
    return done.stdout.strip()


def is_cluster_there() -> bool:
    """Return whether a cluster answers."""
    if shutil.which(KUBECTL[0]) is None:
        return False
    return subprocess.run([*KUBECTL, "get", "--raw", "/readyz"], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True, kw_only=True)
class Installation:
    """
    The example, Elasticsearch and Kibana in the cluster.

    Attributes:
        folder: Copy of infra/kubernetes with the settings of the tests, their certificates and their kustomization.
        forward: Way to Elasticsearch.
    """

    folder: Path
    forward: "Forward"

    @property
    def url(self) -> str:
        """Address of Elasticsearch on this machine."""
        return f"https://localhost:{self.forward.find_port()}"

    def search(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request to Elasticsearch as its superuser."""
        with urllib3.PoolManager(ca_certs=str(self.folder / "certificates/ca.crt")) as http:
            headers = urllib3.make_headers(basic_auth=f"elastic:{self.password}")
            response = http.request(method, self.url + path, json=body, headers=headers)
        assert response.status in {200, 201, 404}, response.data[:1000]
        return dict(response.json())

    @property
    def password(self) -> str:
        """Password of the superuser."""
        return StackSettings(secrets=self.folder / "secrets").elastic_password.read_text().strip()

    def read_stored_ids(self) -> list[str]:
        """Return the id of every document in the data streams, duplicates included."""
        return self._read_all(_STREAMS, {"match_all": {}}, "event.id")

    def read_written_ids(self) -> set[str]:
        """Return the id of every line in the log files of the pods that have ended."""
        query = {"bool": {"must_not": {"term": {"stream.keyword": "end"}}}}
        return set(self._read_all("written-lines", query, "id"))

    def read_recorded_pods(self) -> set[str]:
        """Return the pods whose lines are recorded."""
        return set(self._read_all("written-lines", {"term": {"stream.keyword": "end"}}, "pod"))

    def _read_all(self, index: str, query: dict[str, Any], field: str) -> list[str]:
        self.search("POST", f"/{index}/_refresh")
        found: list[str] = []
        after: list[Any] = []
        while True:
            body = {"size": 5000, "query": query, "sort": ["_doc"], "_source": [field]} | (
                {"search_after": after} if after else {}
            )
            hits = self.search("POST", f"/{index}/_search?ignore_unavailable=true", body)["hits"]["hits"]
            if not hits:
                return found
            for hit in hits:
                value: Any = hit["_source"]
                for part in field.split("."):
                    value = value[part]
                found.append(value)
            after = hits[-1]["sort"]


def build_folder(folder: Path) -> None:
    """Write a copy of infra/kubernetes to *folder*, with certificates, values and the kustomizations of the tests."""
    shutil.copytree(ROOT / "infra/kubernetes", folder / "kubernetes")
    settings = StackSettings(
        authority=folder / "authority",
        certificates=folder / "certificates",
        secrets=folder / "secrets",
        logs=folder / "logs",
    )
    prepare(settings, datetime.now(UTC))
    values = folder / "kubernetes/example/values.env"
    text = values.read_text()
    text = re.sub("(?m)^ELASTICSEARCH_URL=.*", "ELASTICSEARCH_URL=https://elasticsearch:9200", text)
    text = re.sub("(?m)^KIBANA_URL=.*", "KIBANA_URL=https://kibana:5601", text)
    values.write_text(text + "ELASTICSEARCH_CA_FILE=/certificates/ca.crt\n")
    for name in ("trial", "job", "persistent", "autoscaling"):
        shutil.copytree(_FOLDER / name, folder / name)
        for file in (_FOLDER / "witness.py", _FOLDER / "witness.yaml", settings.ca_file, values):
            shutil.copy(file, folder / name)
    for name in ("elastic_password", "elasticsearch.crt", "elasticsearch.key"):
        shutil.copy(folder / "secrets/elasticsearch" / name, folder / "trial" / name)
    for name in ("kibana.secrets.yml", "kibana.crt", "kibana.key"):
        shutil.copy(folder / "secrets/kibana" / name, folder / "trial" / name)
    shutil.copy(ROOT / "kibana/kibana.yml", folder / "trial/kibana.yml")
    for file in folder.rglob("kustomization.yaml"):
        file.write_text(file.read_text().replace("newTag: local", f"newTag: {_TAG}"))


@contextmanager
def install(folder: Path) -> Iterator[Installation]:
    """Apply the example, Elasticsearch and Kibana, and delete the namespace at the end."""
    remove()
    build_folder(folder)
    try:
        run_kubectl("apply", "-k", str(folder / "trial"))
        run_kubectl("rollout", "status", "deployment/elasticsearch", "--timeout=300s")
        run_kubectl("rollout", "status", "deployment/scoring", "--timeout=300s")
        with closing(Forward("service/elasticsearch", 9200)) as forward:
            yield Installation(folder=folder, forward=forward)
    finally:
        if "INFERLOG_TEST_KEEP" not in os.environ:
            remove()


def remove() -> None:
    """Delete the namespace at once: without Elasticsearch, the pods would wait for it during their grace period."""
    run_kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    run_kubectl("delete", "pods", "--all", "--force", "--grace-period=0", check=False)
    run_kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=300s")


class Forward:
    """A ``kubectl port-forward``, which ends when the kubelet does and is then started again."""

    def __init__(self, target: str, port: int) -> None:
        self._command = [*KUBECTL, "--namespace", NAMESPACE, "port-forward", target, f":{port}"]
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    def find_port(self) -> int:
        """Return a local port that leads to the target."""
        if self._process is None or self._process.poll() is not None:
            wait_until(self._start, 60, "kubectl port-forward")
        return self._port

    def close(self) -> None:
        """End the process."""
        if self._process:
            # The command of kubectl may be a script with kubectl as its child.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            self._process.communicate()

    def _start(self) -> bool:
        self.close()
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._process.stdout
        found = _PROXY.match(self._process.stdout.readline())
        self._port = int(found[1]) if found else 0
        return found is not None


@dataclass(frozen=True, kw_only=True)
class Load:
    """
    Requests from a pod in the cluster.

    Attributes:
        name: Name of the pod, and prefix of the correlation ids.
        installation: Where the events are.
    """

    name: str
    installation: Installation

    def reconcile(self) -> dict[str, Any]:
        """Wait for the last response, and compare the records with the events by the command that operators use."""
        wait_until(lambda: self._read_phase() in {"Succeeded", "Failed"}, 600, "the end of the load")
        log = run_kubectl("logs", self.name)
        records = self.installation.folder / f"{self.name}.jsonl"
        records.write_text("".join(f"{line}\n" for line in log.splitlines() if line.startswith("{")))
        environment = {
            "ELASTICSEARCH_CA_FILE": str(self.installation.folder / "certificates/ca.crt"),
            "ELASTICSEARCH_URL": self.installation.url.replace("//", f"//elastic:{self.installation.password}@"),
        }
        done = subprocess.run(
            [
                *(sys.executable, "-m", "inferlog_ops.cli.main", "reconcile", str(records), "--json"),
                *("--run-id", self.name, "--wait-seconds", "120"),
            ],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return read_result(done)

    def _read_phase(self) -> str:
        return run_kubectl("get", "pod", self.name, "--output=jsonpath={.status.phase}")


def send_load(installation: Installation, *, rate: float, seconds: int) -> Load:
    """Start a pod that sends *rate* requests a second to the Service, and return after its first response."""
    load = Load(name=f"load-{uuid4().hex[:8]}", installation=installation)
    options = f"--headless --only-summary --new-connections --rate {rate} --duration {seconds}s --run-id {load.name}"
    program = (
        "locust --locustfile /traffic/locustfile.py --records /tmp/records.jsonl --exit-code-on-error 0 "
        f"{options} >&2; cat /tmp/records.jsonl"
    )
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": load.name, "labels": {"app": "load"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "load",
                    "image": f"inferlog-traffic:{_TAG}",
                    "command": ["sh", "-c", program],
                    "env": [{"name": "LOCUST_HOST", "value": "http://scoring"}],
                    "securityContext": restricted,
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
    run_kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    count = ("exec", load.name, "--", "sh", "-c", "wc -l < /tmp/records.jsonl || echo 0")
    wait_until(lambda: int(run_kubectl(*count, check=False) or 0), 120, "the first response")
    return load


def assert_each_response_has_one_event(load: Load, *, unanswered: bool = False) -> dict[str, Any]:
    """Wait for the end of *load* and compare; *unanswered* permits requests without a response."""
    found = load.reconcile()
    faults = {name: found[name] for name in ("lost", "duplicated", "events_without_request")}
    assert faults == dict.fromkeys(faults, 0), found
    assert unanswered or not found["outcomes"].get("unanswered"), found
    return found


@contextmanager
def stop_elasticsearch() -> Iterator[None]:
    """Stop every process of Elasticsearch during the block, so that it accepts connections and answers none."""
    (store,) = list_names(read_pods("app=elasticsearch"))
    signal_all = (
        "for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p = 1 ] || [ $p = $$ ] || kill -%s $p; done 2>/dev/null; true"
    )
    run_kubectl("exec", store, "--", "sh", "-c", signal_all % "STOP")
    try:
        yield
    finally:
        run_kubectl("exec", store, "--", "sh", "-c", signal_all % "CONT")


def read_pods(selector: str) -> list[dict[str, Any]]:
    """Return the pods with the labels of *selector*."""
    pods: list[dict[str, Any]] = json.loads(run_kubectl("get", "pods", "--selector", selector, "--output=json"))[
        "items"
    ]
    return pods


def list_names(pods: Sequence[dict[str, Any]]) -> list[str]:
    return [pod["metadata"]["name"] for pod in pods]
