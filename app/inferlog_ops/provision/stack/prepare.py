"""Set-up 1 of 3: certificates, passwords and folders, without a network. Safe to repeat and to interrupt."""

from datetime import datetime
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress, ignore_progress
from inferlog_ops.core.streams import check_namespace
from inferlog_ops.provision.desired import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.kibana.identity import build_object_id
from inferlog_ops.provision.stack import certificates, issuing, secret_files
from inferlog_ops.provision.stack.issuing import Authority, CertifiedServer
from inferlog_ops.provision.stack.settings import StackSettings
from inferlog_ops.query.dashboards.files import LANDING_PAGE

ELASTICSEARCH = CertifiedServer(name="elasticsearch", is_client=True)
KIBANA = CertifiedServer(name="kibana")

_KIBANA_FILE = "kibana.secrets.yml"
_KIBANA_SETTINGS = {
    "elasticsearch.password": "kibana_system_password",
    # Without it there are no alert rules; with another key, encrypted objects cannot be read.
    "xpack.encryptedSavedObjects.encryptionKey": "encrypted_saved_objects_key",
    # Without it, all users are logged out when Kibana starts.
    "xpack.security.encryptionKey": "security_key",
    "xpack.reporting.encryptionKey": "reporting_key",
}
"""Settings with a secret, and the file of each."""
_START_PAGE = "uiSettings.overrides.defaultRoute"
_PRIVATE = 0o700
_READABLE = 0o755
_GROUP_SHARED = 0o2775
"""For a folder of the app and Fluentd: both have the same group, and files inherit it."""


def prepare(
    settings: StackSettings, now: datetime, *, warn: ReportProgress = ignore_progress
) -> list[ProvisionedObject]:
    """
    Create certificates, passwords and keys in the folder of each service.

    Keeps existing files; renews only certificates that expire soon.

    Args:
        settings: The folders.
        now: Start of new certificates; timezone-aware.
        warn: Receives warnings about inconsistent files.

    Raises:
        OperatorError: If a folder is not writable, or the namespace is not valid.
    """
    folders = _make_folders(settings)
    authority, done = _publish_authority(settings, now)
    servers = _ensure_server_certificates(settings, authority, now)
    elastic = _ensure_secret(settings.elastic_password)
    others = [_ensure_secret(settings.secrets / "kibana" / name) for name in _KIBANA_SETTINGS.values()]
    others += [
        _build_result(_KIBANA_FILE, "secret", write_kibana_settings(settings)),
        _ensure_secret(settings.operator_password),
    ]
    if elastic.outcome is ProvisionOutcome.CREATED and done.outcome is not ProvisionOutcome.CREATED:
        warn(
            f"{settings.elastic_password} was missing and is new, but there was an earlier set-up: if the volume "
            "elasticsearch-data is from then, Elasticsearch keeps the old password and provision will fail"
        )
    return [*folders, done, *servers, elastic, *others]


def write_kibana_settings(settings: StackSettings) -> bool:
    """
    Write Kibana's secrets and its start page as a file of settings for Kibana; return whether the file changed.

    Raises:
        OperatorError: If a secret is missing, or the namespace is not valid.
    """
    folder = settings.secrets / "kibana"
    values = {setting: secret_files.read(folder / name) for setting, name in _KIBANA_SETTINGS.items()}
    values[_START_PAGE] = f"/app/dashboards#/view/{build_object_id(LANDING_PAGE, check_namespace(settings.namespace))}"
    lines = [f'{setting}: "{value}"\n' for setting, value in values.items()]
    return secret_files.replace(folder / _KIBANA_FILE, "".join(lines).encode("ascii"))


def renew_certificates(settings: StackSettings, now: datetime) -> list[ProvisionedObject]:
    """
    Give every server a new key and certificate from the same authority.

    Raises:
        OperatorError: If there is no authority yet, or a folder is not writable.
    """
    if not (settings.authority / "ca.key").exists():
        raise OperatorError(
            f"{settings.authority} contains no authority; only the container prepare has it: "
            "docker compose run --rm prepare rotate certificates"
        )
    authority, done = _publish_authority(settings, now)
    return [done, *_ensure_server_certificates(settings, authority, now, renew=True)]


def _publish_authority(settings: StackSettings, now: datetime) -> tuple[Authority, ProvisionedObject]:
    authority, done = certificates.ensure_authority(settings.authority, now)
    content = issuing.serialize_certificate(authority.certificate)
    # Elasticsearch can only read its own config folder, where its secrets are mounted.
    for path in (settings.ca_file, settings.elastic_password.with_name("ca.crt")):
        secret_files.replace(path, content, certificates.READABLE)
    return authority, done


def _ensure_server_certificates(
    settings: StackSettings, authority: Authority, now: datetime, *, renew: bool = False
) -> list[ProvisionedObject]:
    return [
        certificates.ensure_server(authority, server, settings.secrets / server.name, now, renew=renew)
        for server in (ELASTICSEARCH, KIBANA)
    ]


def _make_folders(settings: StackSettings) -> list[ProvisionedObject]:
    modes = {settings.authority: _PRIVATE, settings.certificates: _READABLE}
    holders = ("elasticsearch", "kibana", "fluentd", "operator", "summarize")
    modes |= {settings.secrets / name: _PRIVATE for name in holders}
    # Fluentd keeps its offsets there, so that the app can delete shipped files.
    modes |= {settings.logs: _GROUP_SHARED, settings.logs / ".shipped": _GROUP_SHARED}
    return [_build_result(str(path), "folder", secret_files.make_folder(path, mode)) for path, mode in modes.items()]


def _ensure_secret(path: Path) -> ProvisionedObject:
    return _build_result(path.name, "secret", secret_files.create(path, f"{secret_files.create_secret()}\n".encode()))


def _build_result(name: str, kind: str, is_new: bool) -> ProvisionedObject:
    return ProvisionedObject(
        name=name, kind=kind, outcome=ProvisionOutcome.CREATED if is_new else ProvisionOutcome.UNCHANGED
    )
