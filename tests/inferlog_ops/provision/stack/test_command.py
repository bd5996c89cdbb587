"""``python -m inferlog_ops.cli.stack``: exit codes, one sentence for each error, and no secret in any output."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import inferlog_ops.provision.stack.settings
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.stack.prepare import prepare
from inferlog_ops.provision.stack.settings import StackSettings
from tests.support.installation import Stack, build_environment, build_settings, run


def read_secrets(*settings: StackSettings) -> set[str]:
    """Return every secret in the volumes, the two halves of an API key each for itself."""
    files = [path for each in settings for path in each.secrets.rglob("*") if path.is_file()]
    texts = {path.read_text().strip() for path in files if not path.name.endswith((".crt", ".key", ".yml"))}
    return {part for text in texts for part in text.split(":")}


def test_prepare_creates_everything_without_printing_a_secret(settings: StackSettings) -> None:
    done = run(settings, "prepare")
    assert (done.returncode, done.stderr) == (0, "")
    assert "created secret elastic_password\n" in done.stdout
    assert not [secret for secret in read_secrets(settings) if secret in done.stdout]
    assert "PRIVATE KEY" not in done.stdout
    again = run(settings, "prepare")
    assert (again.returncode, again.stdout) == (0, "19 unchanged\n")


def test_prepare_names_the_restart_that_a_renewed_certificate_needs(settings: StackSettings) -> None:
    prepare(settings, datetime.now(UTC) - timedelta(days=800))
    done = run(settings, "prepare")
    assert "updated certificate kibana" in done.stdout
    assert "docker compose restart kibana" in done.stderr
    assert "restart" not in run(settings, "prepare").stderr


def test_password_is_shown_when_asked_for(prepared: StackSettings) -> None:
    assert run(prepared, "show-password").stdout == prepared.operator_password.read_text()
    assert run(prepared, "show-password", "elastic").stdout == prepared.elastic_password.read_text()


def test_login_names_address_user_and_the_command_for_the_password(settings: StackSettings) -> None:
    assert run(settings, "show-login").stdout.splitlines() == [
        "Kibana:   https://localhost:5601",
        "user:     operator",
        "password: docker compose run --rm --no-deps prepare show-password",
    ]


def test_no_command_that_talks_to_elasticsearch_prints_a_secret(stack: Stack) -> None:
    before = read_secrets(stack.settings)
    said = [run(stack.settings, "provision")]
    said += [run(stack.settings, "rotate", name) for name in ("elastic", "kibana_system", "operator", "fluentd")]
    assert [each.returncode for each in said] == [0] * 5
    for secret in before | read_secrets(stack.settings):
        assert not [each for each in said if secret in each.stdout + each.stderr]
    assert "No container has to be restarted" in said[-1].stderr


def prepare_failing_runs(stack: Stack, root: Path) -> Mapping[str, tuple[StackSettings, tuple[str, ...], int]]:
    """Return runs that fail, and the exit code of each."""
    wrong = root / "wrong"
    nothing = build_settings(root / "nothing")
    for path in stack.settings.secrets.rglob("*_password"):
        target = wrong / path.relative_to(stack.settings.secrets)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("wrongPasswordOfAnotherVolume")
    known = replace(stack.settings, secrets=wrong, wait_seconds=5)
    away = replace(stack.settings, elasticsearch_url="https://127.0.0.1:1", wait_seconds=1)
    return {
        "was set up with another password": (known, ("provision",), 1),
        "was not ready after 1 s": (away, ("provision",), 1),
        "elastic_password cannot be read": (nothing, ("provision",), 1),
        "operator_password cannot be read": (nothing, ("show-password",), 1),
    }


def test_each_failure_is_one_sentence_without_a_secret(stack: Stack, tmp_path: Path) -> None:
    secrets = read_secrets(stack.settings) | {"wrongPasswordOfAnotherVolume"}
    for sentence, (settings, arguments, code) in prepare_failing_runs(stack, tmp_path).items():
        done = run(settings, *arguments)
        assert done.returncode == code, done
        *_, last = done.stderr.splitlines()
        assert last.startswith("inferlog_ops.cli.stack: ")
        assert sentence in last
        assert "Traceback" not in done.stderr
        assert not [secret for secret in secrets if secret in done.stdout + done.stderr]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("INFERLOG_RETENTION", "a month", "expected a whole number with d, h, m or s, such as 30d"),
        ("INFERLOG_RETENTION", "0d", "expected a whole number with d, h, m or s, such as 30d"),
        ("INFERLOG_SETUP_WAIT_SECONDS", "soon", "expected a number of seconds above 0"),
        ("INFERLOG_SETUP_WAIT_SECONDS", "inf", "expected a number of seconds above 0"),
    ],
)
def test_invalid_setting_is_rejected(name: str, value: str, sentence: str) -> None:
    with pytest.raises(OperatorError, match=sentence) as refused:
        StackSettings.read({name: value})
    assert refused.value.exit_code == 2
    assert str(refused.value).startswith(f"{name} is {value!r}")


def test_settings_default_to_the_mounted_paths() -> None:
    assert StackSettings.read({"INFERLOG_RETENTION": "", "ELASTICSEARCH_URL": ""}) == StackSettings()
    assert StackSettings().elastic_password == Path("/secrets/elasticsearch/elastic_password")


def test_settings_are_read_from_the_environment(settings: StackSettings) -> None:
    settings = replace(settings, elasticsearch_url="https://a", kibana_url="https://b", retention="7d", namespace="x")
    more = {"INFERLOG_RETENTION": "7d", "INFERLOG_NAMESPACE": "x"}
    assert StackSettings.read({**build_environment(settings), **more}) == settings


def test_every_setting_is_documented_with_its_default() -> None:
    page = (Path(__file__).parents[4] / "docs/configuration.md").read_text()
    part = page.partition("\n## Set-up of the containers\n")[2].partition("\n## ")[0]
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`(\S+)`|none) \|", part, re.MULTILINE))
    assert StackSettings.read(documented) == StackSettings()
    source = Path(inferlog_ops.provision.stack.settings.__file__).read_text()
    assert documented.keys() == set(re.findall(r'"((?:INFERLOG|ELASTICSEARCH|KIBANA)_[A-Z_]+)"', source))


def test_wrong_usage_ends_with_two(settings: StackSettings) -> None:
    for arguments in (("rotate",), ("rotate", "everything"), ("show-password", "kibana_system"), ("unknown",)):
        assert run(settings, *arguments).returncode == 2


def test_help_lists_every_command(settings: StackSettings) -> None:
    done = run(settings, "--help")
    assert done.returncode == 0
    for command in ("prepare", "provision", "provision-kibana", "show-password", "rotate", "redrive"):
        assert command in done.stdout
