"""API keys: of programs, each with the privileges of one role and its secret in its own file; and temporary ones."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.provision.desired import ProvisionedObject, ProvisionOutcome, Stamp, decide
from inferlog_ops.provision.stack import roles, secret_files
from inferlog_ops.provision.stack.login import accepts_credentials
from inferlog_ops.provision.stack.settings import StackSettings

_KIND = "API key"
_EXPIRATION = "1d"
"""Expiration of the key if the process is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramKey:
    """
    A desired API key.

    Attributes:
        name: Name in Kibana.
        role: Role with its privileges.
        file: File with ``id:key``.
    """

    name: str
    role: str
    file: Path


def define_fluentd_key(settings: StackSettings) -> ProgramKey:
    """Return the key with which Fluentd writes."""
    file = settings.secrets / "fluentd/elasticsearch_api_key"
    return ProgramKey(name="inferlog-fluentd", role=roles.FLUENTD, file=file)


def define_dashboards_key(settings: StackSettings) -> ProgramKey:
    """Return the key with which ``inferlog query`` and ``inferlog alerts`` read."""
    file = settings.secrets / "operator/elasticsearch_api_key"
    return ProgramKey(name="inferlog-dashboards", role=roles.DASHBOARDS, file=file)


def define_summarize_key(settings: StackSettings) -> ProgramKey:
    """Return the key with which ``inferlog summarize`` reads events and writes summaries."""
    file = settings.secrets / "summarize/elasticsearch_api_key"
    return ProgramKey(name="inferlog-summarize", role=roles.SUMMARIZE, file=file)


def ensure_key(
    client: Elasticsearch, cluster: Cluster, wanted: ProgramKey, *, renew: bool = False
) -> ProvisionedObject:
    """
    Write a valid key into the file of *wanted* unless there is one; with *renew* always a new one.

    Invalidates all other keys with that name that set-up created for this namespace: their secrets are in no file.

    Raises:
        OperatorError: If the file is not writable, or the cluster does not answer.
    """
    stamp = roles.stamp_rights(wanted.role)
    content: dict[str, Any] = {
        "role_descriptors": {wanted.role: roles.load_rights(wanted.role)},
        "metadata": {**stamp.to_json(), "namespace": cluster.namespace},
    }
    current = None if renew else _read_current(client, cluster, wanted)
    found = Stamp.parse(current["metadata"]) if current else None
    outcome = decide(stamp, exists=found is not None, found=found)
    if current is None or found is None:  # also for the key of another owner: its file gets one of ours
        made = client.security.create_api_key(name=wanted.name, **content)
        key_id = made["id"]
        secret_files.replace(wanted.file, f"{key_id}:{made['api_key']}\n".encode())
    else:
        key_id = current["id"]
        if outcome is ProvisionOutcome.UPDATED:
            client.security.update_api_key(id=key_id, **content)
    _invalidate_others(client, cluster, wanted, key_id)
    return ProvisionedObject(name=wanted.name, kind=_KIND, outcome=outcome)


def encode_key(raw: str) -> str:
    """Encode the key *raw*, ``id:key``, for a header."""
    return base64.b64encode(raw.encode("ascii")).decode("ascii")


def _read_current(client: Elasticsearch, cluster: Cluster, wanted: ProgramKey) -> dict[str, Any] | None:
    """Return the cluster's entry of the key in the file; None if there is no valid key."""
    if not wanted.file.exists():
        return None
    raw = secret_files.read(wanted.file)
    if not accepts_credentials(replace(cluster, user_and_password=None, api_key=encode_key(raw))):
        return None
    found: list[dict[str, Any]] = client.security.get_api_key(id=raw.partition(":")[0])["api_keys"]
    return found[0]


def _invalidate_others(client: Elasticsearch, cluster: Cluster, wanted: ProgramKey, key_id: str) -> None:
    found = client.security.get_api_key(name=wanted.name, active_only=True)["api_keys"]
    others = [each["id"] for each in found if each["id"] != key_id and _is_ours(each["metadata"], cluster)]
    if others:
        client.security.invalidate_api_key(ids=others)


def _is_ours(metadata: dict[str, Any], cluster: Cluster) -> bool:
    return Stamp.parse(metadata) is not None and metadata.get("namespace") == cluster.namespace


@contextmanager
def lend_key(superuser: Cluster, role: str) -> Iterator[Cluster]:
    """
    Yield the cluster with an API key that has only the privileges of *role*.

    Raises:
        OperatorError: If the cluster does not answer.
    """
    with superuser.build_client() as client:
        with translate_errors(superuser, f"creating a key with the privileges of {role}"):
            key = client.security.create_api_key(
                name=role.replace("_", "-"),
                expiration=_EXPIRATION,
                role_descriptors={role: roles.load_rights(role)},
                metadata={**roles.stamp_rights(role).to_json(), "namespace": superuser.namespace},
            )
        try:
            yield replace(superuser, user_and_password=None, api_key=key["encoded"])
        finally:
            with translate_errors(superuser, f"invalidating the key {key['name']}"):
                client.security.invalidate_api_key(ids=[key["id"]])
