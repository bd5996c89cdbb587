"""Set-up from a pod: all objects in an existing Elasticsearch, and keys of programs in a Secret of its namespace."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import orjson
import urllib3

from inferlog_ops.core.cluster import translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress, ignore_progress
from inferlog_ops.provision.desired import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.provision.stack import roles, secret_files
from inferlog_ops.provision.stack.api_keys import ProgramKey, ensure_key
from inferlog_ops.provision.stack.login import log_in
from inferlog_ops.provision.stack.settings import StackSettings

SECRET = "inferlog-keys"  # noqa: S105 (the name of a Secret)
_ROLES = {"fluentd": roles.FLUENTD, "dashboards": roles.DASHBOARDS, "summarize": roles.SUMMARIZE}
"""Role of the key in each entry of the Secret."""
_CREDENTIALS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """
    A Secret of Kubernetes.

    Attributes:
        uid: Identifies it among the Secrets of all clusters.
        data: Decoded entries.
    """

    uid: str
    data: dict[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """
    Access to the API of Kubernetes from a pod.

    Attributes:
        api_url: Address of the API server.
        namespace: Namespace of the pod.
        token: Bearer token.
        ca_file: PEM file of the API server's authority.
    """

    api_url: str
    namespace: str
    token: str = field(repr=False)
    ca_file: Path

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ, credentials: Path = _CREDENTIALS) -> Self:
        """
        Read the service account that Kubernetes mounts into each pod.

        Raises:
            OperatorError: Outside a pod, or in one without a service account.
        """
        try:
            host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT_HTTPS"]
            return cls(
                api_url=f"https://{f'[{host}]' if ':' in host else host}:{port}",
                namespace=(credentials / "namespace").read_text().strip(),
                token=(credentials / "token").read_text().strip(),
                ca_file=credentials / "ca.crt",
            )
        except (KeyError, OSError) as error:
            raise OperatorError(f"not a pod of Kubernetes with a service account: {error} is missing") from None

    def read_secret(self, name: str) -> Secret:
        """
        Return the Secret *name*.

        Raises:
            OperatorError: If there is none, or it may not be read.
        """
        answer = self._send("GET", name)
        entries = answer.get("data") or {}
        return Secret(
            uid=answer["metadata"]["uid"], data={key: base64.b64decode(value) for key, value in entries.items()}
        )

    def update_secret(self, name: str, data: Mapping[str, bytes]) -> None:
        """
        Set the entries *data* of the Secret *name*, and keep its others.

        Raises:
            OperatorError: If there is none, or it may not be changed.
        """
        encoded = {key: base64.b64encode(value).decode("ascii") for key, value in data.items()}
        self._send("PATCH", name, orjson.dumps({"data": encoded}))

    def _send(self, method: str, name: str, body: bytes | None = None) -> dict[str, Any]:
        url = f"{self.api_url}/api/v1/namespaces/{self.namespace}/secrets/{name}"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/merge-patch+json"}
        try:
            with urllib3.PoolManager(ca_certs=str(self.ca_file)) as http:
                response = http.request(method, url, body=body, headers=headers, timeout=_TIMEOUT_SECONDS)
            answer: dict[str, Any] = orjson.loads(response.data)
        except (urllib3.exceptions.HTTPError, orjson.JSONDecodeError) as error:
            raise OperatorError(f"the API of Kubernetes at {self.api_url} does not answer: {error}") from error
        if response.status != 200:
            raise OperatorError(
                f"Kubernetes answered {response.status} to {method} of the Secret {self.namespace}/{name}: "
                f"{answer.get('message')}"
            )
        return answer


def provision_from_pod(
    settings: StackSettings, account: ServiceAccount, *, on_progress: ReportProgress = ignore_progress
) -> list[ProvisionedObject]:
    """
    Create templates, data streams and keys in Elasticsearch, and write the keys into the Secret `SECRET`.

    A second run finds all unchanged. The names of the keys end with the Secret's uid, so that several installations
    can use one Elasticsearch.

    Raises:
        OperatorError: If Elasticsearch or Kubernetes does not answer or rejects a request.
    """
    cluster = log_in(settings, on_progress).cluster
    done = provision_cluster(
        cluster,
        retention=settings.retention,
        summaries_retention=settings.summaries_retention,
        wait_seconds=settings.wait_seconds,
        on_progress=on_progress,
    )
    secret = account.read_secret(SECRET)
    with TemporaryDirectory() as folder, cluster.build_client() as client, translate_errors(cluster, "creating keys"):
        keys = {
            entry: ProgramKey(name=f"inferlog-{entry}-{secret.uid[:8]}", role=role, file=Path(folder, entry))
            for entry, role in _ROLES.items()
        }
        for entry, key in keys.items():
            if current := secret.data.get(entry):
                secret_files.replace(key.file, current)
        done += [ensure_key(client, cluster, key) for key in keys.values()]
        data = {entry: key.file.read_bytes() for entry, key in keys.items()}
    changed = any(secret.data.get(entry) != value for entry, value in data.items())
    if changed:
        account.update_secret(SECRET, data)
    outcome = ProvisionOutcome.UPDATED if changed else ProvisionOutcome.UNCHANGED
    return [*done, ProvisionedObject(name=SECRET, kind="Secret", outcome=outcome)]
