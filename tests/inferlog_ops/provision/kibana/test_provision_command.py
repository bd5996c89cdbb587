"""``inferlog provision --kibana`` as its users run it."""

import json
import signal
from pathlib import Path
from threading import Event

import pytest

from inferlog_ops.core.home import Home
from tests.support.commands import begin, run
from tests.support.kibana_objects import refuse
from tests.support.kibana_stand_in import API_KEY, KibanaStandIn
from tests.support.polling import wait_until


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIBANA_API_KEY", API_KEY)


def _collect_outcomes(stdout: str) -> set[str]:
    return {each["outcome"] for each in json.loads(stdout)}


def test_kibana_alone_is_provisioned_where_no_elasticsearch_is_named(server: KibanaStandIn) -> None:
    first = run("provision", "--kibana", server.url, "--json")
    second = run("provision", "--kibana", server.url, "--json")
    assert first.returncode == second.returncode == 0, first.stderr
    assert {each["kind"] for each in json.loads(first.stdout)} == {
        "data view",
        "dashboard",
        "connector",
        "rule",
        "saved query",
    }
    assert (_collect_outcomes(first.stdout), _collect_outcomes(second.stdout)) == ({"created"}, {"unchanged"})


def test_both_are_provisioned_where_both_are_named(
    server: KibanaStandIn, engine_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIBANA_URL", server.url)
    done = run("provision", "--url", engine_url, "--namespace", namespace)
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert f"logs-inference.events-{namespace}" in words
    assert f"inferlog-overview-{namespace}" in words


def test_elasticsearch_alone_is_provisioned_where_no_kibana_is_named(
    home: Home, engine_url: str, namespace: str
) -> None:
    done = run("provision", "--home", home.root, "--namespace", namespace, "--json")
    assert done.returncode == 0, done.stderr
    assert "dashboard" not in {each["kind"] for each in json.loads(done.stdout)}


def test_rejected_objects_are_reported_and_the_rest_is_created(server: KibanaStandIn) -> None:
    server.answers["/api/saved_objects/_import"] = refuse(403, "no [such] privilege")
    done = run("provision", "--kibana", server.url, "--json")
    assert done.returncode == 1
    refused = [each for each in json.loads(done.stdout) if each["outcome"] == "refused"]
    assert {each["kind"] for each in refused} == {"dashboard", "saved query"}
    assert all("no [such] privilege" in each["reason"] for each in refused)
    assert "refused: inferlog-overview: " in done.stderr


def test_error_is_one_sentence_without_the_password(server: KibanaStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KIBANA_API_KEY")
    done = run("provision", "--kibana", server.url.replace("//", "//elastic:geheim@"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"inferlog: reading its status: {server.url} rejected the credentials (401")
    assert len(done.stderr.splitlines()) == 1
    assert "geheim" not in done.stderr


def test_killed_provisioning_can_be_repeated(server: KibanaStandIn) -> None:
    reached, killed = Event(), Event()

    def hold(call: str) -> None:
        if call == "POST /api/saved_objects/_import" and not reached.is_set():
            reached.set()
            killed.wait(20)

    server.before_write = hold
    with begin("provision", "--kibana", server.url) as process:
        wait_until(reached.is_set, timeout_seconds=60, what="the write that is held back")
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
    killed.set()
    # A request in flight when the process was killed may still be executed.
    wait_until(lambda: "inferlog-pipeline-health" in server.objects.find_contents("dashboard"), what="the last write")
    again = run("provision", "--kibana", server.url, "--json")
    assert _collect_outcomes(again.stdout) == {"created", "unchanged"}
    assert _collect_outcomes(run("provision", "--kibana", server.url, "--json").stdout) == {"unchanged"}


def test_bodies_are_written_without_any_server(tmp_path: Path) -> None:
    done = run("provision", "--kibana-bodies", tmp_path / "bodies", "--space", "ops", "--json")
    assert done.returncode == 0, done.stderr
    written = json.loads(done.stdout)
    assert {"request": "POST /s/ops/api/saved_objects/_import?overwrite=true"}.items() <= next(
        each for each in written if "_import" in each["request"]
    ).items()
    assert all(Path(each["file"]).is_file() for each in written)
