"""Secrets are random, private, whole, and never changed by themselves, however set-up ends."""

import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import ProvisionOutcome
from inferlog_ops.provision.stack import secret_files
from inferlog_ops.provision.stack.prepare import prepare
from inferlog_ops.provision.stack.settings import StackSettings
from tests.support.installation import NOW, build_settings

START_PAGE = "uiSettings.overrides.defaultRoute"
SECRETS = [
    "elasticsearch/elastic_password",
    "kibana/kibana_system_password",
    "kibana/encrypted_saved_objects_key",
    "kibana/security_key",
    "kibana/reporting_key",
    "operator/operator_password",
]


def read_mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def read_contents(settings: StackSettings) -> dict[str, bytes]:
    """Return the content of all files in the volumes by path, without drafts."""
    root = settings.authority.parent
    files = (path for path in root.rglob("*") if path.is_file() and not path.name.endswith(".new"))
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_random_letters_and_digits_of_more_than_128_bits(prepared: StackSettings, name: str) -> None:
    secret = (prepared.secrets / name).read_text().strip()
    assert re.fullmatch(r"[A-Za-z0-9]{32}", secret)  # 62 ** 32 > 2 ** 190


def test_no_two_secrets_are_the_same_nor_those_of_two_installations(prepared: StackSettings, tmp_path: Path) -> None:
    other = build_settings(tmp_path / "other")
    prepare(other, NOW)
    found = [(each.secrets / name).read_text() for each in (prepared, other) for name in SECRETS]
    assert len(set(found)) == 2 * len(SECRETS)


def test_secrets_use_the_whole_alphabet() -> None:
    assert len(set("".join(secret_files.create_secret() for _ in range(200)))) == 62


def test_files_are_private_folders_too_and_only_certificates_can_be_read(prepared: StackSettings) -> None:
    assert {read_mode(prepared.secrets / each) for each in ("elasticsearch", "kibana", "fluentd", "operator")} == {
        0o700
    }
    assert read_mode(prepared.authority) == 0o700
    assert read_mode(prepared.certificates) == 0o755
    for name in read_contents(prepared):
        assert read_mode(prepared.authority.parent / name) == (0o644 if name.endswith(".crt") else 0o600), name


def test_each_service_gets_only_its_own_secrets(prepared: StackSettings) -> None:
    given = {folder.name: {path.name for path in folder.iterdir()} for folder in prepared.secrets.iterdir()}
    assert given == {
        "elasticsearch": {"elastic_password", "elasticsearch.key", "elasticsearch.crt", "ca.crt"},
        "kibana": {*(Path(name).name for name in SECRETS[1:5]), "kibana.key", "kibana.crt", "kibana.secrets.yml"},
        "fluentd": set(),
        "operator": {"operator_password"},
        "summarize": set(),
    }
    assert {path.name for path in prepared.certificates.iterdir()} == {"ca.crt"}


def test_log_folder_is_shared_by_the_group(prepared: StackSettings) -> None:
    assert (read_mode(prepared.logs), read_mode(prepared.logs / ".shipped")) == (0o2775, 0o2775)


def read_kibana_settings(settings: StackSettings) -> dict[str, str]:
    """Return what Kibana reads from the file of the set-up."""
    return dict(yaml.safe_load((settings.secrets / "kibana/kibana.secrets.yml").read_text()))


def test_kibana_reads_its_secrets_as_settings(prepared: StackSettings) -> None:
    folder = prepared.secrets / "kibana"
    found = read_kibana_settings(prepared)
    del found[START_PAGE]
    assert found == {
        "elasticsearch.password": (folder / "kibana_system_password").read_text().strip(),
        "xpack.encryptedSavedObjects.encryptionKey": (folder / "encrypted_saved_objects_key").read_text().strip(),
        "xpack.security.encryptionKey": (folder / "security_key").read_text().strip(),
        "xpack.reporting.encryptionKey": (folder / "reporting_key").read_text().strip(),
    }
    assert all(len(value) >= 32 for value in found.values())  # Kibana does not start with shorter keys


@pytest.mark.parametrize(
    ("namespace", "dashboard"), [("default", "inferlog-overview"), ("team.one", "inferlog-overview-team-one")]
)
def test_kibana_opens_on_the_overview_of_the_namespace(settings: StackSettings, namespace: str, dashboard: str) -> None:
    prepare(replace(settings, namespace=namespace), NOW)
    assert read_kibana_settings(settings)[START_PAGE] == f"/app/dashboards#/view/{dashboard}"


def test_start_page_follows_another_namespace_and_no_secret_changes(prepared: StackSettings) -> None:
    before = read_kibana_settings(prepared)
    prepare(replace(prepared, namespace="other"), NOW)
    after = read_kibana_settings(prepared)
    assert after.pop(START_PAGE) != before.pop(START_PAGE)
    assert after == before


def test_second_run_changes_nothing(prepared: StackSettings) -> None:
    before = read_contents(prepared)
    assert {each.outcome for each in prepare(prepared, NOW)} == {ProvisionOutcome.UNCHANGED}
    assert read_contents(prepared) == before


def test_file_that_others_could_read_is_closed_and_keeps_its_secret(prepared: StackSettings) -> None:
    prepared.operator_password.chmod(0o644)
    before = prepared.operator_password.read_text()
    prepare(prepared, NOW)
    assert (read_mode(prepared.operator_password), prepared.operator_password.read_text()) == (0o600, before)


def test_new_superuser_password_with_an_old_authority_is_a_warning(prepared: StackSettings) -> None:
    said: list[str] = []
    prepared.elastic_password.unlink()
    prepare(prepared, NOW, warn=said.append)
    (warning,) = said
    assert "elasticsearch-data" in warning


def test_first_run_warns_of_nothing(settings: StackSettings) -> None:
    said: list[str] = []
    prepare(settings, NOW, warn=said.append)
    assert said == []


def prepare_killed_at(settings: StackSettings, step: int, call: str) -> bool:
    """Run prepare in a process that dies at the *step*-th *call* of the file system; return whether it did."""
    child = os.fork()
    if not child:
        left, real = step, getattr(os, call)

        def dying(*arguments: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(9)
            return real(*arguments, **options)

        setattr(os, call, dying)
        try:
            prepare(settings, NOW)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("call", ["open", "fsync", "fchmod", "replace", "rename", "mkdir", "chmod"])
def test_prepare_completes_a_killed_run_and_keeps_its_files(tmp_path: Path, call: str) -> None:
    whole = build_settings(tmp_path / "whole")
    prepare(whole, NOW)
    step = 1
    while True:
        settings = build_settings(tmp_path / f"{call}-{step}")
        if not prepare_killed_at(settings, step, call):
            break
        kept = {
            name: content for name, content in read_contents(settings).items() if not name.endswith((".crt", ".key"))
        }
        prepare(settings, NOW)
        after = read_contents(settings)
        assert after.keys() == read_contents(whole).keys()
        assert kept.items() <= after.items()
        assert {each.outcome for each in prepare(settings, NOW)} == {ProvisionOutcome.UNCHANGED}
        step += 1
    if call in {"open", "fsync"}:
        assert step > 20


def test_symlinked_draft_is_not_followed(settings: StackSettings) -> None:
    elsewhere = settings.authority.parent / "elsewhere"
    settings.operator_password.parent.mkdir(parents=True)
    settings.operator_password.with_name(".operator_password.new").symlink_to(elsewhere)
    prepare(settings, NOW)
    assert not elsewhere.exists()
    assert settings.operator_password.exists()


def test_unwritable_volume_is_reported(settings: StackSettings) -> None:
    settings.secrets.mkdir(parents=True)
    (settings.secrets / "kibana").write_text("a file where a folder should be")
    with pytest.raises(OperatorError, match=r"secrets/kibana cannot be written"):
        prepare(settings, NOW)


def test_empty_secret_is_not_used(prepared: StackSettings) -> None:
    (prepared.secrets / "kibana/security_key").write_text("")
    with pytest.raises(OperatorError, match=r"security_key is empty; delete it"):
        prepare(prepared, NOW)
