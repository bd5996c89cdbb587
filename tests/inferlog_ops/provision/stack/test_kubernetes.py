"""Set-up from a pod: a real Elasticsearch with security, and a stand-in for the API of Kubernetes with one Secret."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import ProvisionOutcome
from inferlog_ops.provision.stack.api_keys import encode_key
from inferlog_ops.provision.stack.kubernetes import SECRET, ServiceAccount, provision_from_pod
from inferlog_ops.provision.stack.login import accepts_credentials
from tests.support.installation import Stack
from tests.support.serving import serve_handler

PATH = f"/api/v1/namespaces/trial/secrets/{SECRET}"


@dataclass
class SecretStore:
    """
    The Secret of the stand-in.

    Attributes:
        data: Its entries in base64.
        patches: Number of changes.
        status: Status of every response.
        account: Access to it.
    """

    data: dict[str, str] = field(default_factory=dict)
    patches: int = 0
    status: int = 200
    account: ServiceAccount = field(init=False)

    def read_key(self, entry: str) -> str:
        return encode_key(base64.b64decode(self.data[entry]).decode().strip())


@pytest.fixture
def secrets(stack: Stack, tmp_path: Path) -> Iterator[SecretStore]:
    """An API server with the certificate of the stack."""
    store = SecretStore()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert (self.path, self.headers["Authorization"]) == (PATH, "Bearer t")
            body: dict[str, object] = {"metadata": {"uid": "12345678-9abc"}, "data": store.data}
            if store.status != 200:
                body = {"message": "secrets is forbidden"}
            self.send_response(store.status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def do_PATCH(self) -> None:
            assert self.headers["Content-Type"] == "application/merge-patch+json"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            store.data |= body["data"]
            store.patches += 1
            self.do_GET()

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output readable."""

    folder = stack.settings.secrets / "elasticsearch"
    certificate = tmp_path / "server.pem"
    certificate.write_bytes((folder / "elasticsearch.key").read_bytes() + (folder / "elasticsearch.crt").read_bytes())
    with serve_handler(Handler, certificate=certificate) as url:
        store.account = ServiceAccount(
            api_url=url.replace("127.0.0.1", "localhost"),
            namespace="trial",
            token="t",
            ca_file=stack.settings.ca_file,
        )
        yield store


def test_keys_are_created_once_and_have_least_privileges(
    stack: Stack, secrets: SecretStore, admin: Elasticsearch
) -> None:
    first = provision_from_pod(stack.settings, secrets.account)
    assert (first[-1].name, first[-1].outcome) == (SECRET, ProvisionOutcome.UPDATED)
    assert secrets.data.keys() == {"fluentd", "dashboards", "summarize"}
    assert {each.outcome for each in provision_from_pod(stack.settings, secrets.account)} == {
        ProvisionOutcome.UNCHANGED
    }
    assert secrets.patches == 1
    (key,) = admin.security.get_api_key(name="inferlog-fluentd-12345678", active_only=True)["api_keys"]
    (rights,) = key["role_descriptors"].values()
    assert [each["privileges"] for each in rights["indices"]] == [["create_doc"]]


def test_deleted_entry_gives_a_new_key_and_invalidates_the_old_one(stack: Stack, secrets: SecretStore) -> None:
    provision_from_pod(stack.settings, secrets.account)
    before = secrets.read_key("fluentd")
    del secrets.data["fluentd"]
    provision_from_pod(stack.settings, secrets.account)
    assert accepts_credentials(stack.as_key(secrets.read_key("fluentd")))
    assert not accepts_credentials(stack.as_key(before))


def test_rejection_by_kubernetes_names_secret_and_reason(stack: Stack, secrets: SecretStore) -> None:
    secrets.status = 403
    with pytest.raises(OperatorError, match=f"answered 403 to GET of the Secret trial/{SECRET}: secrets is forbidden"):
        provision_from_pod(stack.settings, secrets.account)


def test_outside_a_pod_the_missing_part_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        OperatorError, match="not a pod of Kubernetes with a service account: 'KUBERNETES_SERVICE_HOST'"
    ):
        ServiceAccount.read({}, tmp_path)
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT_HTTPS": "443"}
    with pytest.raises(OperatorError, match="namespace"):
        ServiceAccount.read(environment, tmp_path)
    (tmp_path / "namespace").write_text("trial")
    (tmp_path / "token").write_text("t\n")
    found = ServiceAccount.read(environment, tmp_path)
    assert (found.api_url, found.namespace, found.token) == ("https://[fd00::1]:443", "trial", "t")
    assert "t" not in repr(found).replace("trial", "").partition("token")[2]
