"""API keys of programs: each with the rights of one role, its secret in a file that only this program is given."""

import base64
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.outcome import Outcome, Provisioned
from inferlog_ops.provision.elasticsearch.definitions import MANAGED_BY
from inferlog_ops.provision.stack import roles, secret_files
from inferlog_ops.provision.stack.login import authenticates
from inferlog_ops.provision.stack.settings import Settings

_KIND = "API key"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramKey:
    """
    A key that there should be.

    Attributes:
        name: As it is shown in Kibana.
        role: The role whose rights it has.
        file: Where the program finds it, as ``id:key``.
    """

    name: str
    role: str
    file: Path


def fluentd_key(settings: Settings) -> ProgramKey:
    """Return the key by which Fluentd writes."""
    file = settings.secrets / "fluentd/elasticsearch_api_key"
    return ProgramKey(name="inferlog-fluentd", role=roles.FLUENTD, file=file)


def dashboards_key(settings: Settings) -> ProgramKey:
    """Return the key by which programs of the operator read: ``inferlog query``, ``inferlog alerts``."""
    file = settings.secrets / "operator/elasticsearch_api_key"
    return ProgramKey(name="inferlog-dashboards", role=roles.DASHBOARDS, file=file)


def ensure_key(client: Elasticsearch, cluster: Cluster, wanted: ProgramKey, *, anew: bool = False) -> Provisioned:
    """
    Make the file of *wanted* hold a key that works; in any case a new one if *anew*.

    All other keys of that name which set-up made for this namespace stop working: their secrets are in no file.

    Raises:
        OperatorError: If the file cannot be written, or the cluster does not answer.
    """
    rights = roles.rights(wanted.role)
    metadata = {**roles.stamp(rights), "namespace": cluster.namespace}
    known = None if anew else _known(client, cluster, wanted)
    if known is None:
        outcome = Outcome.CREATED
        made = client.security.create_api_key(
            name=wanted.name, role_descriptors={wanted.role: rights}, metadata=metadata
        )
        key_id = made["id"]
        secret_files.replace(wanted.file, f"{key_id}:{made['api_key']}\n".encode())
    else:
        key_id = known["id"]
        outcome = Outcome.UNCHANGED if known["metadata"] == metadata else Outcome.UPDATED
        if outcome is Outcome.UPDATED:
            client.security.update_api_key(id=key_id, role_descriptors={wanted.role: rights}, metadata=metadata)
    _invalidate_others(client, cluster, wanted, key_id)
    return Provisioned(name=wanted.name, kind=_KIND, outcome=outcome)


def encoded(raw: str) -> str:
    """Return the key *raw*, ``id:key``, in the form that goes into a header."""
    return base64.b64encode(raw.encode("ascii")).decode("ascii")


def _known(client: Elasticsearch, cluster: Cluster, wanted: ProgramKey) -> dict[str, Any] | None:
    """Return what the cluster knows of the key in the file, None if there is none or it does not work."""
    if not wanted.file.exists():
        return None
    raw = secret_files.read(wanted.file)
    if not authenticates(replace(cluster, user_and_password=None, api_key=encoded(raw))):
        return None
    found: list[dict[str, Any]] = client.security.get_api_key(id=raw.partition(":")[0])["api_keys"]
    return found[0]


def _invalidate_others(client: Elasticsearch, cluster: Cluster, wanted: ProgramKey, key_id: str) -> None:
    found = client.security.get_api_key(name=wanted.name, active_only=True)["api_keys"]
    others = [each["id"] for each in found if each["id"] != key_id and _is_ours(each["metadata"], cluster)]
    if others:
        client.security.invalidate_api_key(ids=others)


def _is_ours(metadata: dict[str, Any], cluster: Cluster) -> bool:
    return metadata.get("managed_by") == MANAGED_BY and metadata.get("namespace") == cluster.namespace
