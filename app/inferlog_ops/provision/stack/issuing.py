"""Creation and validation of keys and certificates as plain data, without files or a clock."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=825)
"""The maximum: clients reject server certificates with a longer lifetime."""
RENEWED_BEFORE_END = timedelta(days=30)

_BACKDATED = timedelta(hours=1)
"""Tolerance for clients whose clock is behind."""
_AUTHORITY_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "inferlog authority")])

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """
    A certificate authority.

    Attributes:
        key: Signing key; never leaves its folder.
        certificate: Certificate for clients to verify signatures.
    """

    key: Key
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedServer:
    """
    A server with a certificate.

    Attributes:
        name: Service name in docker-compose.yml, which is its host name.
        is_client: Also a client certificate, as between Elasticsearch's nodes.
    """

    name: str
    is_client: bool = False

    @property
    def names(self) -> x509.SubjectAlternativeName:
        """All host names and addresses that clients use."""
        local = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return x509.SubjectAlternativeName([x509.DNSName(self.name), x509.DNSName("localhost"), local])


def create_key() -> Key:
    """Return a new private key."""
    return ec.generate_private_key(ec.SECP256R1())


def serialize_key(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def parse_key(pem: bytes) -> Key:
    """
    Parse the private key in *pem*.

    Raises:
        ValueError: If it is not an EC key.
    """
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an EC key")  # noqa: TRY004 (for the caller the content is wrong, not its type)
    return key


def serialize_certificate(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def issue_authority_certificate(key: Key, now: datetime) -> x509.Certificate:
    """Return a self-signed certificate of *key*; certificates signed earlier stay valid."""
    return (
        _start_certificate(_AUTHORITY_NAME, key, now, AUTHORITY_LIFE)
        .issuer_name(_AUTHORITY_NAME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_build_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def issue_server_certificate(
    authority: Authority, server: CertifiedServer, key: Key, now: datetime
) -> x509.Certificate:
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if server.is_client else [])]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server.name)])
    return (
        _start_certificate(subject, key, now, LEAF_LIFE)
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_build_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(server.names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def find_authority_fault(key: Key, certificate: x509.Certificate, now: datetime) -> str | None:
    """Return why the authority's *certificate* must be renewed; None if it is valid."""
    if certificate.public_key() != key.public_key():
        return "it belongs to another key"
    # A server certificate cannot outlive that of its authority.
    if certificate.not_valid_after_utc < now + LEAF_LIFE:
        return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
    return None


def find_server_fault(
    authority: Authority, server: CertifiedServer, key: Key, certificate: x509.Certificate, now: datetime
) -> str | None:
    """Return why *certificate* must be renewed; None if it is valid."""
    if certificate.public_key() != key.public_key():
        return "it belongs to another key"
    if not _is_signed_by(authority, certificate):
        return "it is not from this authority"
    if certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value != server.names:
        return "it is for other names"
    if certificate.not_valid_after_utc < now + RENEWED_BEFORE_END:
        return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
    return None


def _is_signed_by(authority: Authority, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _start_certificate(subject: x509.Name, key: Key, now: datetime, life: timedelta) -> x509.CertificateBuilder:
    begin = now - _BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _build_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
