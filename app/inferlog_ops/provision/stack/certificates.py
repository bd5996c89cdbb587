"""The authority and the servers' certificates as files; what is good stays, what is near its end is made anew."""

from datetime import datetime
from pathlib import Path

from cryptography import x509

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import Outcome, Provisioned
from inferlog_ops.provision.stack import issuing, secret_files
from inferlog_ops.provision.stack.issuing import Authority, Server

READABLE = 0o644

_KIND = "certificate"


def ensure_authority(folder: Path, now: datetime) -> tuple[Authority, Provisioned]:
    """
    Return the authority in *folder*, made if it is not there.

    Its key stays for ever. Its certificate is made anew before a server's could outlive it: by the same key, so
    everything that was signed stays valid, also for those that know the old one only.

    Raises:
        OperatorError: If the folder cannot be written to, or its key is no key.
    """
    key_file, certificate_file = folder / "ca.key", folder / "ca.crt"
    is_new = secret_files.create(key_file, issuing.key_pem(issuing.new_key()))
    try:
        key = issuing.key_from(key_file.read_bytes())
    except (OSError, ValueError) as error:
        raise OperatorError(
            f"{key_file} is no key of an authority ({error}); delete it for a new one: all certificates are then "
            "made anew, and all containers have to be started again"
        ) from error
    certificate = _certificate_in(certificate_file)
    if certificate is not None and not issuing.fault_of_authority(key, certificate, now):
        return Authority(key=key, certificate=certificate), _done("authority", Outcome.UNCHANGED, certificate)
    certificate = issuing.authority_certificate(key, now)
    secret_files.replace(certificate_file, issuing.certificate_pem(certificate), READABLE)
    outcome = Outcome.CREATED if is_new else Outcome.UPDATED
    return Authority(key=key, certificate=certificate), _done("authority", outcome, certificate)


def ensure_server(
    authority: Authority, server: Server, folder: Path, now: datetime, *, anew: bool = False
) -> Provisioned:
    """
    Make *folder* hold a key and a good certificate of *server*; a new one in any case if *anew*.

    Raises:
        OperatorError: If the folder cannot be written to.
    """
    key_file, certificate_file = folder / f"{server.name}.key", folder / f"{server.name}.crt"
    certificate = _certificate_in(certificate_file)
    key = _key_in(key_file)
    if not anew and key and certificate and not issuing.fault_of_server(authority, server, key, certificate, now):
        return _done(server.name, Outcome.UNCHANGED, certificate)
    outcome = Outcome.UPDATED if certificate else Outcome.CREATED
    key = issuing.new_key()
    certificate = issuing.server_certificate(authority, server, key, now)
    # Killed between the two, the certificate belongs to another key, which the next run finds.
    secret_files.replace(key_file, issuing.key_pem(key))
    secret_files.replace(certificate_file, issuing.certificate_pem(certificate), READABLE)
    return _done(server.name, outcome, certificate)


def _key_in(path: Path) -> issuing.Key | None:
    try:
        return issuing.key_from(path.read_bytes())
    except (OSError, ValueError):
        return None


def _certificate_in(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _done(name: str, outcome: Outcome, certificate: x509.Certificate) -> Provisioned:
    return Provisioned(name=f"{name} (until {certificate.not_valid_after_utc:%Y-%m-%d})", kind=_KIND, outcome=outcome)
