"""What goes wrong with a Kibana is said in one sentence; one that is starting is waited for."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch import ProvisionOutcome
from inferlog_ops.provision.kibana.address import Kibana, resolve_kibana
from inferlog_ops.provision.kibana.provision import provision_kibana
from tests.support.kibana_objects import Reply
from tests.support.kibana_stand_in import API_KEY, PASSWORD, USER, KibanaStandIn, stand_in
from tests.support.serving import CERTIFICATE


def _expect_refusal(kibana: Kibana, wording: str, **arguments: Any) -> None:
    with pytest.raises(OperatorError, match=wording):
        provision_kibana(kibana, "default", **arguments)


def test_kibana_that_starts_is_waited_for_with_progress(kibana: Kibana, server: KibanaStandIn) -> None:
    server.not_ready, server.unavailable = 6, 4
    said: list[str] = []
    provisioned = provision_kibana(kibana, "default", wait_seconds=30, on_progress=said.append)
    assert {each.outcome for each in provisioned} == {ProvisionOutcome.CREATED}
    assert said
    assert all(line.startswith(f"waiting for {server.url}: it answers 503") for line in said)


def test_unavailable_kibana_is_reported_after_the_timeout(kibana: Kibana, server: KibanaStandIn) -> None:
    server.unavailable = 10_000
    _expect_refusal(kibana, r"was not ready after 1 s: it answers 503, its status is unavailable", wait_seconds=1)
    assert server.writes == []


def test_unreachable_kibana_is_reported_after_the_timeout() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        _expect_refusal(Kibana(base_url=url), r"was not ready after 1 s: no connection \(.*refused\)", wait_seconds=1)


@pytest.mark.parametrize(
    ("api_key", "wording"),
    [
        ("d3Jvbmc=", r"rejected the credentials \(401: .*set KIBANA_API_KEY"),
        (None, "rejected a request without credentials"),
    ],
)
def test_rejected_credentials_fail_at_once(server: KibanaStandIn, api_key: str | None, wording: str) -> None:
    _expect_refusal(Kibana(base_url=server.url, api_key=api_key), wording, wait_seconds=3_600)


def test_missing_privilege_affects_only_its_objects(kibana: Kibana, server: KibanaStandIn) -> None:
    server.forbidden = ("/api/alerting",)
    provisioned = provision_kibana(kibana, "default")
    outcomes = {(each.kind, each.outcome) for each in provisioned}
    assert ("rule", ProvisionOutcome.REFUSED) in outcomes
    assert {outcome for kind, outcome in outcomes if kind != "rule"} == {ProvisionOutcome.CREATED}
    assert all("403: API [GET /api/alerting" in str(each.reason) for each in provisioned if each.kind == "rule")


def test_elasticsearch_instead_of_kibana_is_detected(engine_url: str) -> None:
    _expect_refusal(
        Kibana(base_url=engine_url), "is an Elasticsearch, not a Kibana; the default port of Kibana is 5601"
    )


@pytest.mark.parametrize(
    ("reply", "wording"),
    [
        (Reply(404, b"<html>nothing</html>"), r"is not a Kibana: it answered /api/status with 404"),
        (Reply(200, b"<html>hello</html>"), r"is not a Kibana: it answered /api/status with 200 and no status"),
        (Reply(200, {"status": "fine"}), r"is not a Kibana: it answered /api/status with 200 and no status"),
        (Reply(302, b""), r"answered 302, a redirect; is the base path missing"),
        (
            Reply(200, {"status": {"overall": {"level": "critical"}}}),
            r"was not ready after 1 s: its status is critical",
        ),
    ],
)
def test_unsupported_server_is_rejected(kibana: Kibana, server: KibanaStandIn, reply: Reply, wording: str) -> None:
    server.answers["/api/status"] = reply
    _expect_refusal(kibana, wording, wait_seconds=1)


def test_version_in_the_status_counts_where_kibana_does_not_answer_with_it(
    kibana: Kibana, server: KibanaStandIn
) -> None:
    server.version = ""
    status = {"version": {"number": "8.11.4"}, "status": {"overall": {"level": "available"}}}
    server.answers["/api/status"] = Reply(200, status)
    _expect_refusal(kibana, r"is Kibana 8\.11\.4; expected 8\.12 or newer")


def test_degraded_kibana_without_a_version_is_accepted(kibana: Kibana, server: KibanaStandIn) -> None:
    server.version = ""
    server.answers["/api/status"] = Reply(200, {"status": {"overall": {"level": "degraded"}}})
    assert provision_kibana(kibana, "default")


@pytest.mark.parametrize("version", ["8.11.4", "7.17.29"])
def test_kibana_that_is_too_old_is_rejected_before_any_write(
    kibana: Kibana, server: KibanaStandIn, version: str
) -> None:
    server.version = version
    _expect_refusal(kibana, rf"is Kibana {version}; expected 8\.12 or newer; nothing was changed")
    assert server.writes == []


def test_missing_space_is_rejected(kibana: Kibana, server: KibanaStandIn) -> None:
    _expect_refusal(replace(kibana, space="opps"), "has no space 'opps'; create it")
    assert server.objects.stored == {}


def test_untrusted_certificate_is_rejected() -> None:
    with stand_in(certificate=CERTIFICATE) as server:
        kibana = Kibana(base_url=server.url, api_key=API_KEY)
        _expect_refusal(kibana, "certificate of .* is not trusted .*; set KIBANA_CA_FILE to the certificate")
        assert provision_kibana(replace(kibana, ca_file=str(CERTIFICATE)), "default")


def test_https_address_of_a_plain_kibana_is_reported(server: KibanaStandIn) -> None:
    _expect_refusal(
        Kibana(base_url=server.url.replace("http:", "https:")), "does not use TLS; should the address begin"
    )


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unreadable_ca_file_is_reported(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    _expect_refusal(
        Kibana(base_url="https://127.0.0.1:1", ca_file=str(file)), r"KIBANA_CA_FILE is '.*ca\.pem', which cannot"
    )


def test_api_key_with_a_newline_is_rejected_without_printing_it() -> None:
    with pytest.raises(OperatorError, match="KIBANA_API_KEY contains invalid characters") as refused:
        provision_kibana(Kibana(base_url="http://127.0.0.1:1", api_key="geheim\n"), "default")
    assert "geheim" not in str(refused.value)


def test_user_and_password_in_the_address_are_used_but_not_printed(server: KibanaStandIn) -> None:
    secret = "pass%20word%2F%40%C3%BC"
    kibana = resolve_kibana(server.url.replace("//", f"//{USER}:{secret}@"), "default")
    assert kibana.user_and_password == f"{USER}:{PASSWORD}"
    assert kibana.base_url == server.url
    assert "pass" not in repr(kibana)
    assert provision_kibana(kibana, "default")


@pytest.mark.parametrize("url", ["kibana:5601", "ftp://kibana", "http://", "//kibana:5601", "http://[", ""])
def test_invalid_address_is_rejected(url: str) -> None:
    with pytest.raises(OperatorError, match=r"expected http\(s\)://host:port") as refused:
        resolve_kibana(url, "default")
    assert refused.value.exit_code == 2


def test_two_kinds_of_credentials_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIBANA_API_KEY", API_KEY)
    with pytest.raises(OperatorError, match="contains a user, and KIBANA_API_KEY is set") as refused:
        resolve_kibana("http://elastic:geheim@127.0.0.1:5601", "default")
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("space", ["", "Ops", "a/b", "..", "a b", "ops\n"])
def test_invalid_space_is_rejected(space: str) -> None:
    with pytest.raises(OperatorError, match="expected its id"):
        resolve_kibana("http://127.0.0.1:5601", space)


def test_missing_encryption_key_is_suggested_for_a_server_error(kibana: Kibana, server: KibanaStandIn) -> None:
    def no_connector(call: str) -> None:
        if call.startswith("POST /api/actions"):
            server.answers[call.removeprefix("POST ")] = Reply(500, {"message": "An internal server error"})

    server.before_write = no_connector
    provisioned = provision_kibana(kibana, "default")
    (connector,) = [each for each in provisioned if each.kind == "connector"]
    assert "xpack.encryptedSavedObjects.encryptionKey" in str(connector.reason)
    assert {each.outcome for each in provisioned if each.kind == "dashboard"} == {ProvisionOutcome.CREATED}


def test_kibana_that_stops_during_provisioning_is_one_sentence(kibana: Kibana, server: KibanaStandIn) -> None:
    def die(call: str) -> None:
        if call.startswith("POST /api/alerting"):
            raise ConnectionAbortedError

    server.before_write = die
    _expect_refusal(kibana, r"writing the rule inferlog-\S+: http\S+ does not answer \(.*\); earlier steps are kept")
    server.before_write = lambda _call: None
    again = provision_kibana(kibana, "default")
    assert {each.kind for each in again if each.outcome is ProvisionOutcome.CREATED} == {"rule"}


def test_unexpected_response_is_one_sentence(kibana: Kibana, server: KibanaStandIn) -> None:
    server.answers["/api/data_views/data_view/inferlog-app"] = Reply(200, b"<html>portal</html>")
    _expect_refusal(kibana, "reading the data view inferlog-app: unexpected response of Kibana: <html>portal")


@pytest.mark.parametrize("content", ["{", "[]", '{"title": "x"}', '{"title": "x-*", "nam": "y"}'])
def test_invalid_data_view_file_is_reported_before_any_request(files: Path, content: str) -> None:
    (files / "kibana/data_views/inferlog-events.json").write_text(content)
    _expect_refusal(Kibana(base_url="http://127.0.0.1:1"), r"kibana/data_views/inferlog-events\.json is no")
