"""What goes wrong with a Kibana is said in one sentence; one that is starting is waited for."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch import Outcome
from inferlog_ops.provision.kibana.address import Kibana, kibana_from
from inferlog_ops.provision.kibana.provision import provision_kibana
from tests.support.kibana_objects import Reply
from tests.support.kibana_stand_in import API_KEY, PASSWORD, USER, StandIn, stand_in

CERTIFICATE = Path(__file__).parents[2] / "ship/certificate.pem"  # made for tests, for 127.0.0.1


def _refused(kibana: Kibana, wording: str, **arguments: Any) -> None:
    with pytest.raises(OperatorError, match=wording):
        provision_kibana(kibana, "default", **arguments)


def test_kibana_that_starts_is_waited_for_with_progress(kibana: Kibana, server: StandIn) -> None:
    server.not_ready, server.unavailable = 6, 4
    said: list[str] = []
    provisioned = provision_kibana(kibana, "default", wait_seconds=30, on_progress=said.append)
    assert {each.outcome for each in provisioned} == {Outcome.CREATED}
    assert said
    assert all(line.startswith(f"waiting for {server.url}: it answers 503") for line in said)


def test_kibana_that_stays_unavailable_is_given_up(kibana: Kibana, server: StandIn) -> None:
    server.unavailable = 10_000
    _refused(kibana, r"was not ready after 1 s: it answers 503, its status is unavailable", wait_seconds=1)
    assert server.writes == []


def test_address_where_nothing_listens_is_given_up() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        _refused(Kibana(base_url=url), r"was not ready after 1 s: no connection \(.*refused\)", wait_seconds=1)


@pytest.mark.parametrize(
    ("api_key", "wording"),
    [
        ("d3Jvbmc=", r"refused the credentials \(401: .*set KIBANA_API_KEY"),
        (None, "refused a call without credentials"),
    ],
)
def test_refused_credentials_are_not_waited_for(server: StandIn, api_key: str | None, wording: str) -> None:
    _refused(Kibana(base_url=server.url, api_key=api_key), wording, wait_seconds=3_600)


def test_right_that_is_missing_is_named_before_anything_is_written(kibana: Kibana, server: StandIn) -> None:
    server.forbidden = ("/api/alerting",)
    _refused(kibana, r"reading the rule inferlog-\S+: the credentials are known .* may not do this \(403: API \[GET")
    assert server.writes == []


def test_elasticsearch_in_place_of_a_kibana_is_recognised(engine_url: str) -> None:
    _refused(Kibana(base_url=engine_url), "is an Elasticsearch, no Kibana; a Kibana listens on port 5601")


@pytest.mark.parametrize(
    ("reply", "wording"),
    [
        (Reply(404, b"<html>nothing</html>"), r"is no Kibana: it answered /api/status with 404"),
        (Reply(200, b"<html>hello</html>"), r"is no Kibana: it answered /api/status with 200 and no status"),
        (Reply(200, {"status": "fine"}), r"is no Kibana: it answered /api/status with 200 and no status"),
        (Reply(302, b""), r"answered 302, a redirection; is its base path missing"),
        (
            Reply(200, {"version": {"number": "9.4.2"}, "status": {"overall": {"level": "available"}}}),
            r"is Kibana 9\.4\.2; expected 9\.5 or newer",
        ),
        (
            Reply(200, {"status": {"overall": {"level": "critical"}}}),
            r"was not ready after 1 s: its status is critical",
        ),
    ],
)
def test_what_is_no_kibana_for_us_is_told_from_one(kibana: Kibana, server: StandIn, reply: Reply, wording: str) -> None:
    server.answers["/api/status"] = reply
    _refused(kibana, wording, wait_seconds=1)


def test_degraded_kibana_that_hides_its_version_is_good_enough(kibana: Kibana, server: StandIn) -> None:
    server.answers["/api/status"] = Reply(200, {"status": {"overall": {"level": "degraded"}}})
    assert provision_kibana(kibana, "default")


def test_space_that_is_not_there_is_not_written_into(kibana: Kibana, server: StandIn) -> None:
    _refused(replace(kibana, space="opps"), "has no space 'opps'; create it")
    assert server.objects.stored == {}


def test_certificate_has_to_be_trusted() -> None:
    with stand_in(certificate=CERTIFICATE) as server:
        kibana = Kibana(base_url=server.url, api_key=API_KEY)
        _refused(kibana, "certificate of .* is not trusted .*; KIBANA_CA_FILE names the file")
        assert provision_kibana(replace(kibana, ca_file=str(CERTIFICATE)), "default")


def test_address_with_tls_of_a_kibana_without_is_told_of(server: StandIn) -> None:
    _refused(Kibana(base_url=server.url.replace("http:", "https:")), "does not speak TLS; should the address begin")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_file_of_authorities_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    _refused(Kibana(base_url="https://127.0.0.1:1", ca_file=str(file)), r"KIBANA_CA_FILE is '.*ca\.pem', which cannot")


def test_key_with_a_line_end_is_refused_without_being_shown() -> None:
    with pytest.raises(OperatorError, match="KIBANA_API_KEY holds characters that no key has") as refused:
        provision_kibana(Kibana(base_url="http://127.0.0.1:1", api_key="geheim\n"), "default")
    assert "geheim" not in str(refused.value)


def test_user_and_password_in_the_address_are_used_and_not_shown(server: StandIn) -> None:
    secret = "pass%20word%2F%40%C3%BC"
    kibana = kibana_from(server.url.replace("//", f"//{USER}:{secret}@"), "default")
    assert kibana.user_and_password == f"{USER}:{PASSWORD}"
    assert kibana.base_url == server.url
    assert "pass" not in repr(kibana)
    assert provision_kibana(kibana, "default")


@pytest.mark.parametrize("url", ["kibana:5601", "ftp://kibana", "http://", "//kibana:5601", "http://[", ""])
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(OperatorError, match=r"expected http\(s\)://host:port") as refused:
        kibana_from(url, "default")
    assert refused.value.exit_code == 2


def test_two_kinds_of_credentials_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIBANA_API_KEY", API_KEY)
    with pytest.raises(OperatorError, match="holds a user, and KIBANA_API_KEY is set") as refused:
        kibana_from("http://elastic:geheim@127.0.0.1:5601", "default")
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("space", ["", "Ops", "a/b", "..", "a b", "ops\n"])
def test_space_that_could_not_be_one_is_refused(space: str) -> None:
    with pytest.raises(OperatorError, match="expected its id"):
        kibana_from("http://127.0.0.1:5601", space)


def _with_panel_fault(text: str) -> str:
    return text.replace('"type": "metric"', '"type": "metrics"', 1)


def _with_unknown_key(text: str) -> str:
    return text.replace('"title"', '"titel": "x", "title"', 1)


@pytest.mark.parametrize(
    ("spoil", "wording"),
    [
        (_with_panel_fault, r"dashboards/inferlog-overview\.json: Kibana refused the dashboard .* 400: panel \S+"),
        (_with_unknown_key, r"dashboards/inferlog-overview\.json: .* with 400: \[request body\]: .*'titel'"),
    ],
)
def test_dashboard_that_kibana_refuses_is_told_of_with_file_and_panel(
    kibana: Kibana, files: Path, spoil: Callable[[str], str], wording: str
) -> None:
    file = files / "dashboards/inferlog-overview.json"
    file.write_text(spoil(file.read_text()))
    _refused(kibana, wording)


def test_missing_key_for_encryption_is_guessed_from_the_fault(kibana: Kibana, server: StandIn) -> None:
    def no_connector(call: str) -> None:
        server.answers["/api/actions/connector/inferlog-alerts"] = Reply(500, {"message": "An internal server error"})

    server.before_write = no_connector
    _refused(kibana, r"connector inferlog-alerts with 500: .*xpack\.encryptedSavedObjects\.encryptionKey")


def test_kibana_that_dies_on_the_way_is_one_sentence_and_no_loss(kibana: Kibana, server: StandIn) -> None:
    def die(call: str) -> None:
        if call.startswith("POST /api/alerting"):
            raise ConnectionAbortedError

    server.before_write = die
    _refused(kibana, r"creating the rule inferlog-\S+: http\S+ does not answer \(.*\); what is done is done")
    server.before_write = lambda _call: None
    again = provision_kibana(kibana, "default")
    assert {each.kind for each in again if each.outcome is Outcome.CREATED} == {"rule", "saved query"}


def test_answer_of_another_kind_is_no_traceback(kibana: Kibana, server: StandIn) -> None:
    server.answers["/api/dashboards/inferlog-overview"] = Reply(200, b"<html>portal</html>")
    _refused(kibana, "reading the dashboard inferlog-overview: Kibana answered with something else: <html>portal")


@pytest.mark.parametrize("content", ["{", "[]", '{"title": "x"}', '{"title": "x-*", "nam": "y"}'])
def test_data_view_file_that_is_none_is_named_before_kibana_is_asked(files: Path, content: str) -> None:
    (files / "kibana/data_views/inferlog-events.json").write_text(content)
    _refused(Kibana(base_url="http://127.0.0.1:1"), r"kibana/data_views/inferlog-events\.json is no")
