"""Set-up 1 of 3: everything that can be made without asking anybody. Safe to repeat, and to be killed."""

from datetime import datetime
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import Outcome, Provisioned
from inferlog_ops.core.progress import Say, say_nothing
from inferlog_ops.provision.stack import certificates, issuing, kibana_secrets, secret_files
from inferlog_ops.provision.stack.issuing import Authority, Server
from inferlog_ops.provision.stack.settings import Settings

ELASTICSEARCH = Server(name="elasticsearch", is_client=True)
KIBANA = Server(name="kibana")

_FOR_ONE = 0o700
_FOR_ALL = 0o755
_SHARED_BY_GROUP = 0o2775
"""The app and Fluentd write there; their group is the same, and files inherit it."""


def prepare(settings: Settings, now: datetime, *, warn: Say = say_nothing) -> list[Provisioned]:
    """
    Put certificates, passwords and keys into the folders of those that need them.

    What is there stays as it is; only certificates near their end are made anew.

    Args:
        settings: Where the folders are.
        now: From when certificates count; timezone-aware.
        warn: Is told what may not fit together.

    Raises:
        OperatorError: If a folder cannot be written to.
    """
    folders = _make_folders(settings)
    authority, done = _authority_for_all(settings, now)
    servers = _server_certificates(settings, authority, now)
    elastic = _secret(settings.elastic_password)
    others = [_secret(settings.secrets / "kibana" / name) for name in kibana_secrets.FILES]
    others += [_settings_of_kibana(settings), _secret(settings.operator_password)]
    if elastic.outcome is Outcome.CREATED and done.outcome is not Outcome.CREATED:
        warn(
            f"{settings.elastic_password} was missing and is new, though there was an earlier set-up: if the volume "
            "elasticsearch-data is from then, Elasticsearch keeps the old password and provision will say so"
        )
    return [*folders, done, *servers, elastic, *others]


def renew_certificates(settings: Settings, now: datetime) -> list[Provisioned]:
    """
    Give every server a new key and certificate by the same authority.

    Raises:
        OperatorError: If there is no authority yet, or a folder cannot be written to.
    """
    if not (settings.authority / "ca.key").exists():
        raise OperatorError(
            f"{settings.authority} holds no authority, which only the container that makes certificates is given: "
            "docker compose run --rm prepare rotate certificates"
        )
    authority, done = _authority_for_all(settings, now)
    return [done, *_server_certificates(settings, authority, now, anew=True)]


def _authority_for_all(settings: Settings, now: datetime) -> tuple[Authority, Provisioned]:
    authority, done = certificates.ensure_authority(settings.authority, now)
    content = issuing.certificate_pem(authority.certificate)
    # Elasticsearch reads nothing outside its own folder of settings, where its secrets are mounted.
    for path in (settings.ca_file, settings.elastic_password.with_name("ca.crt")):
        secret_files.replace(path, content, certificates.READABLE)
    return authority, done


def _server_certificates(
    settings: Settings, authority: Authority, now: datetime, *, anew: bool = False
) -> list[Provisioned]:
    return [
        certificates.ensure_server(authority, server, settings.secrets / server.name, now, anew=anew)
        for server in (ELASTICSEARCH, KIBANA)
    ]


def _make_folders(settings: Settings) -> list[Provisioned]:
    modes = {settings.authority: _FOR_ONE, settings.certificates: _FOR_ALL}
    modes |= {settings.secrets / name: _FOR_ONE for name in ("elasticsearch", "kibana", "fluentd", "operator")}
    # Fluentd keeps there where it has read to, so that the app may delete what was shipped.
    modes |= {settings.logs: _SHARED_BY_GROUP, settings.logs / ".shipped": _SHARED_BY_GROUP}
    return [_done(str(path), "folder", secret_files.make_folder(path, mode)) for path, mode in modes.items()]


def _secret(path: Path) -> Provisioned:
    return _done(path.name, "secret", secret_files.create(path, f"{secret_files.new_secret()}\n".encode()))


def _settings_of_kibana(settings: Settings) -> Provisioned:
    return _done(kibana_secrets.FILE, "secret", kibana_secrets.write_settings(settings.secrets / "kibana"))


def _done(name: str, kind: str, is_new: bool) -> Provisioned:
    return Provisioned(name=name, kind=kind, outcome=Outcome.CREATED if is_new else Outcome.UNCHANGED)
