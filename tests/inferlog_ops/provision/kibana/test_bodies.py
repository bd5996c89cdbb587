"""What ``--kibana-bodies`` writes is what would be sent, and curl can send it."""

import os
import subprocess
from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch import ProvisionOutcome
from inferlog_ops.provision.kibana.address import Kibana
from inferlog_ops.provision.kibana.bodies import SCRIPT, write_bodies
from inferlog_ops.provision.kibana.plan import build_plan
from inferlog_ops.provision.kibana.provision import provision_kibana
from tests.support.kibana_stand_in import API_KEY, KibanaStandIn, stand_in
from tests.support.serving import CERTIFICATE

PLAN = build_plan("default")


def _read_contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _send(folder: Path, url: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(folder / SCRIPT)],
        env={"PATH": os.environ["PATH"], "KIBANA_URL": url, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_bodies_have_one_file_for_each_request(tmp_path: Path) -> None:
    written = write_bodies(tmp_path / "bodies", PLAN)
    calls = {each.request: each.file.name for each in written}
    assert len(written) == len({each.file for each in written})
    assert calls["POST /api/saved_objects/_import?overwrite=true"].endswith(
        "_POST_api.saved_objects._import.objects.ndjson"
    )
    assert _read_contents(tmp_path / "bodies").keys() == {each.file.name for each in written} | {SCRIPT}


def test_writing_again_changes_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_bodies(tmp_path, PLAN)
    first = _read_contents(tmp_path)
    (tmp_path / "999_POST_api.data_views.data_view.inferlog-gone.json").write_text("{}")
    write_bodies(tmp_path, PLAN)
    assert _read_contents(tmp_path) == first


@pytest.mark.parametrize("name", ["notes.txt", SCRIPT])
def test_folder_with_other_files_is_rejected(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(OperatorError, match=rf"contains {name}, which this command did not write") as refused:
        write_bodies(tmp_path, PLAN)
    assert refused.value.exit_code == 2
    assert _read_contents(tmp_path) == {name: b"mine"}


def test_script_rejects_a_visible_password(tmp_path: Path) -> None:
    write_bodies(tmp_path, PLAN)
    sent = subprocess.run(
        [tmp_path / SCRIPT],
        env={**os.environ, "KIBANA_URL": "http://me:secret@127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert sent.returncode == 2
    assert "use KIBANA_API_KEY instead" in sent.stderr
    assert "secret" not in sent.stderr


def test_file_instead_of_a_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bodies").write_text("")
    with pytest.raises(OperatorError, match="bodies cannot be written: File exists"):
        write_bodies(tmp_path / "bodies", PLAN)


@pytest.mark.parametrize("space", ["default", "ops"])
def test_script_sends_the_same_requests_as_provisioning(server: KibanaStandIn, tmp_path: Path, space: str) -> None:
    server.spaces.add(space)
    write_bodies(tmp_path, PLAN, space)
    sent = _send(tmp_path, server.url, KIBANA_API_KEY=API_KEY)
    assert sent.returncode == 0, sent.stderr
    kibana = Kibana(base_url=server.url, api_key=API_KEY, space=space)
    assert {each.outcome for each in provision_kibana(kibana, "default")} == {ProvisionOutcome.UNCHANGED}


def test_script_trusts_the_configured_authority(tmp_path: Path) -> None:
    write_bodies(tmp_path / "bodies", PLAN)
    with stand_in(certificate=CERTIFICATE) as server:
        assert "certificate" in _send(tmp_path / "bodies", server.url, KIBANA_API_KEY=API_KEY).stderr
        named = os.path.relpath(CERTIFICATE)
        sent = _send(tmp_path / "bodies", server.url, KIBANA_API_KEY=API_KEY, KIBANA_CA_FILE=named)
    assert sent.returncode == 0, sent.stderr
    assert "POST /api/saved_objects/_import" in server.writes


def test_script_stops_at_the_first_rejected_request(server: KibanaStandIn, tmp_path: Path) -> None:
    write_bodies(tmp_path, PLAN)
    sent = _send(tmp_path, server.url, KIBANA_API_KEY="d3Jvbmc=")
    assert sent.returncode != 0
    assert "unable to authenticate" in sent.stderr
    assert "d3Jvbmc=" not in sent.stderr + sent.stdout
    assert server.writes == []
