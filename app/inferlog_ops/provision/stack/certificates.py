"""Files of the certificate authority and of server certificates; renewed shortly before they expire."""

from datetime import datetime
from pathlib import Path

from cryptography import x509

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.stack import issuing, secret_files
from inferlog_ops.provision.stack.issuing import Authority, CertifiedServer

READABLE = 0o644

CERTIFICATE = "certificate"


def ensure_authority(folder: Path, now: datetime) -> tuple[Authority, ProvisionedObject]:
    """
    Return the authority in *folder*, created if missing.

    Its key never changes. Its certificate is renewed before it could expire earlier than a server certificate: with the
    same key, so that signed certificates stay valid, also for clients with the old authority certificate.

    Raises:
        OperatorError: If the folder is not writable, or its key is invalid.
    """
    key_file, certificate_file = folder / "ca.key", folder / "ca.crt"
    is_new = secret_files.create(key_file, issuing.serialize_key(issuing.create_key()))
    try:
        key = issuing.parse_key(key_file.read_bytes())
    except (OSError, ValueError) as error:
        raise OperatorError(
            f"{key_file} is not a key of an authority ({error}); delete it for a new one: all certificates are then "
            "renewed, and all containers must be restarted"
        ) from error
    certificate = _read_certificate(certificate_file)
    if certificate is not None and not issuing.find_authority_fault(key, certificate, now):
        return Authority(key=key, certificate=certificate), _build_result(
            "authority", ProvisionOutcome.UNCHANGED, certificate
        )
    certificate = issuing.issue_authority_certificate(key, now)
    secret_files.replace(certificate_file, issuing.serialize_certificate(certificate), READABLE)
    outcome = ProvisionOutcome.CREATED if is_new else ProvisionOutcome.UPDATED
    return Authority(key=key, certificate=certificate), _build_result("authority", outcome, certificate)


def ensure_server(
    authority: Authority, server: CertifiedServer, folder: Path, now: datetime, *, renew: bool = False
) -> ProvisionedObject:
    """
    Write a key and a valid certificate of *server* into *folder* unless there are some; with *renew* always new ones.

    Raises:
        OperatorError: If the folder is not writable.
    """
    key_file, certificate_file = folder / f"{server.name}.key", folder / f"{server.name}.crt"
    certificate = _read_certificate(certificate_file)
    key = _read_key(key_file)
    if not renew and key and certificate and not issuing.find_server_fault(authority, server, key, certificate, now):
        return _build_result(server.name, ProvisionOutcome.UNCHANGED, certificate)
    outcome = ProvisionOutcome.UPDATED if certificate else ProvisionOutcome.CREATED
    key = issuing.create_key()
    certificate = issuing.issue_server_certificate(authority, server, key, now)
    # If the process is killed between the two, the next run finds a certificate of another key and renews it.
    secret_files.replace(key_file, issuing.serialize_key(key))
    secret_files.replace(certificate_file, issuing.serialize_certificate(certificate), READABLE)
    return _build_result(server.name, outcome, certificate)


def _read_key(path: Path) -> issuing.Key | None:
    try:
        return issuing.parse_key(path.read_bytes())
    except (OSError, ValueError):
        return None


def _read_certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _build_result(name: str, outcome: ProvisionOutcome, certificate: x509.Certificate) -> ProvisionedObject:
    return ProvisionedObject(
        name=f"{name} (until {certificate.not_valid_after_utc:%Y-%m-%d})", kind=CERTIFICATE, outcome=outcome
    )
