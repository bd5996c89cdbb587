"""Certificates: valid in a real TLS handshake, expire as stated, and are renewed in time."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import ProvisionOutcome
from inferlog_ops.provision.stack.prepare import prepare, renew_certificates
from inferlog_ops.provision.stack.settings import StackSettings
from tests.support.installation import NOW

SERVERS = ["elasticsearch", "kibana"]
DAY = timedelta(days=1)


def read_certificate(settings: StackSettings, server: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((settings.secrets / server / f"{server}.crt").read_bytes())


def read_authority(settings: StackSettings) -> x509.Certificate:
    return x509.load_pem_x509_certificate(settings.ca_file.read_bytes())


@contextmanager
def serve_certificate(settings: StackSettings, server: str) -> Iterator[int]:
    """Answer one TLS handshake with the server's certificate; yield the port."""
    folder = settings.secrets / server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{server}.crt", folder / f"{server}.key")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except (OSError, ssl.SSLError):
                    connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join()


def shake_hands(port: int, ca_file: Path, name: str) -> str | None:
    """Return the version that client and server agreed on."""
    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
        context.wrap_socket(connection, server_hostname=name) as secured,
    ):
        return secured.version()


@pytest.fixture
def prepared_now(settings: StackSettings) -> StackSettings:
    """A handshake goes by the clock."""
    prepare(settings, datetime.now(UTC))
    return settings


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("by", ["service", "localhost", "127.0.0.1"])
def test_server_is_trusted_by_clients_with_the_authority(prepared_now: StackSettings, server: str, by: str) -> None:
    with serve_certificate(prepared_now, server) as port:
        assert shake_hands(port, prepared_now.ca_file, server if by == "service" else by) == "TLSv1.3"


def test_server_is_not_taken_for_another(prepared_now: StackSettings) -> None:
    with (
        serve_certificate(prepared_now, "kibana") as port,
        pytest.raises(ssl.SSLCertVerificationError, match="elasticsearch"),
    ):
        shake_hands(port, prepared_now.ca_file, "elasticsearch")


def test_server_of_another_installation_is_not_trusted(prepared_now: StackSettings, tmp_path: Path) -> None:
    other = StackSettings(
        authority=tmp_path / "b/a", certificates=tmp_path / "b/c", secrets=tmp_path / "b/s", logs=tmp_path / "b/l"
    )
    prepare(other, datetime.now(UTC))
    with serve_certificate(prepared_now, "kibana") as port, pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(port, other.ca_file, "kibana")


def test_authority_holds_for_ten_years_and_signs_servers_only(prepared: StackSettings) -> None:
    ca = read_authority(prepared)
    assert 3649 * DAY <= ca.not_valid_after_utc - NOW <= 3650 * DAY
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)


@pytest.mark.parametrize("server", SERVERS)
def test_servers_are_no_authorities_and_hold_no_longer_than_clients_allow(prepared: StackSettings, server: str) -> None:
    leaf = read_certificate(prepared, server)
    assert 824 * DAY <= leaf.not_valid_after_utc - NOW <= 825 * DAY
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= 825 * DAY
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_everybody_has_the_same_certificate_of_the_authority(prepared: StackSettings) -> None:
    copies = [prepared.authority / "ca.crt", prepared.secrets / "elasticsearch/ca.crt", prepared.ca_file]
    assert len({path.read_bytes() for path in copies}) == 1


@pytest.mark.parametrize(("days_left", "renewed"), [(31, False), (29, True), (-100, True)])
def test_servers_get_a_new_certificate_when_less_than_thirty_days_are_left(
    prepared: StackSettings, days_left: int, renewed: bool
) -> None:
    ca, before = prepared.ca_file.read_bytes(), read_certificate(prepared, "kibana")
    later = before.not_valid_after_utc - days_left * DAY
    prepare(prepared, later)
    after = read_certificate(prepared, "kibana")
    assert (after != before) == renewed
    assert after.not_valid_after_utc > later
    assert prepared.ca_file.read_bytes() == ca


def test_authority_is_renewed_before_its_servers_expire_and_their_certificates_stay_valid(
    prepared: StackSettings,
) -> None:
    before = read_authority(prepared)
    leaf_before = read_certificate(prepared, "kibana")
    prepare(prepared, before.not_valid_after_utc - 800 * DAY)
    after = read_authority(prepared)
    assert after.not_valid_after_utc > before.not_valid_after_utc
    leaf = read_certificate(prepared, "kibana")
    assert leaf != leaf_before
    for known in (before, after):
        leaf.verify_directly_issued_by(known)
        leaf_before.verify_directly_issued_by(known)


@pytest.mark.parametrize("year", range(0, 30, 3))
def test_no_server_outlives_the_authority(settings: StackSettings, year: int) -> None:
    for each in range(0, year + 1, 2):
        prepare(settings, NOW + each * 365 * DAY)
    for server in SERVERS:
        assert read_certificate(settings, server).not_valid_after_utc <= read_authority(settings).not_valid_after_utc


def test_certificate_without_its_key_is_renewed(prepared: StackSettings) -> None:
    (prepared.secrets / "kibana/kibana.key").unlink()
    done = {each.name.partition(" ")[0]: each.outcome for each in prepare(prepared, NOW)}
    assert (done["kibana"], done["elasticsearch"]) == (ProvisionOutcome.UPDATED, ProvisionOutcome.UNCHANGED)
    folder = prepared.secrets / "kibana"
    # Refuses a key that is not the certificate's.
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / "kibana.crt", folder / "kibana.key")


def test_new_authority_renews_all_certificates(prepared: StackSettings) -> None:
    for path in prepared.authority.iterdir():
        path.unlink()
    before = {server: read_certificate(prepared, server) for server in SERVERS}
    prepare(prepared, NOW)
    for server in SERVERS:
        leaf = read_certificate(prepared, server)
        assert leaf != before[server]
        leaf.verify_directly_issued_by(read_authority(prepared))


def test_invalid_authority_key_is_reported_and_kept(prepared: StackSettings) -> None:
    (prepared.authority / "ca.key").write_text("something else")
    with pytest.raises(OperatorError, match="ca.key is not a key of an authority"):
        prepare(prepared, NOW)
    assert (prepared.authority / "ca.key").read_text() == "something else"


def test_renewal_gives_new_keys_from_the_same_authority(prepared: StackSettings) -> None:
    keys = {server: (prepared.secrets / server / f"{server}.key").read_bytes() for server in SERVERS}
    ca = prepared.ca_file.read_bytes()
    renew_certificates(prepared, NOW)
    assert prepared.ca_file.read_bytes() == ca
    for server in SERVERS:
        assert (prepared.secrets / server / f"{server}.key").read_bytes() != keys[server]
        read_certificate(prepared, server).verify_directly_issued_by(read_authority(prepared))


def test_renewal_without_an_authority_prints_the_command(prepared: StackSettings) -> None:
    before = read_certificate(prepared, "kibana")
    (prepared.authority / "ca.key").unlink()
    with pytest.raises(OperatorError, match="docker compose run --rm prepare rotate certificates"):
        renew_certificates(prepared, NOW)
    assert read_certificate(prepared, "kibana") == before
