"""Images: base, content and user."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.support.dockerfiles import ROOT, Dockerfile, is_ignored

FILES = {
    "app": Dockerfile(ROOT / "app" / "Dockerfile", ROOT),
    "fluentd": Dockerfile(ROOT / "fluentd" / "Dockerfile", ROOT / "fluentd"),
    "setup": Dockerfile(ROOT / "infra" / "setup" / "Dockerfile", ROOT),
    "traffic": Dockerfile(ROOT / "scripts" / "traffic" / "Dockerfile", ROOT),
}
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|KEY|CREDENTIAL", re.IGNORECASE)
NEVER_SENT = [".env", ".git/config", ".venv/bin/python", "logs/events-scoring-1.jsonl", "tests/conftest.py", "ca.key"]

each_file = pytest.mark.parametrize("file", FILES.values(), ids=FILES)


def list_commands(file: Dockerfile) -> list[str]:
    """Return each command of each RUN."""
    return [part.strip() for run in file.list_instructions("RUN") for part in re.split(r"&&|;", run.text)]


def test_every_dockerfile_is_held_to_this_and_built_by_compose() -> None:
    found = {path for path in ROOT.rglob("Dockerfile*") if not {".venv", ".git"} & set(path.parts)}
    assert found == {file.path for file in FILES.values()}
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    built = {
        ROOT / service["build"]["context"] / service["build"].get("dockerfile", "Dockerfile")
        for service in services.values()
        if "build" in service
    }
    assert built == found


@each_file
def test_the_base_is_exact_and_named_in_the_settings(file: Dockerfile) -> None:
    """ARG without default, so that each version is in only one place."""
    (argument,) = file.list_instructions("ARG")
    assert re.fullmatch(r"[A-Z]+_VERSION", argument.text)
    settings = (ROOT / ".env.example").read_text()
    assert re.search(rf"^{argument.text}=v?\d+\.\d+\.\d+-", settings, re.MULTILINE)
    for base in file.list_instructions("FROM"):
        assert re.fullmatch(rf"[a-z/]+:\$\{{{argument.text}\}}(?: AS \w+)?", base.text)


@each_file
def test_user_is_numeric_not_root_and_owns_no_program(file: Dockerfile) -> None:
    stage = file.stages[-1]
    assert [each.text for each in stage if each.name == "USER"][-1] == "1000:0"
    place = max(place for place, each in enumerate(stage) if each.name == "USER")
    assert not {"RUN", "COPY"} & {each.name for each in stage[place + 1 :]}, "these would be made by who runs"
    assert not [copy for copy in stage if copy.name == "COPY" and any("--chown" in each for each in copy.options)]


@each_file
def test_downloads_use_only_package_managers(file: Dockerfile) -> None:
    assert not file.list_instructions("ADD"), "ADD fetches addresses and unpacks archives"
    for command in list_commands(file):
        assert not re.search(r"\b(curl|wget|git|apt|npm)\b", re.sub(r"apt-get|/var/lib/apt/", "", command))
        if "apt-get" in command:  # Debian's own packages, signed by Debian
            assert command == "apt-get update" or re.fullmatch(
                r"apt-get install --yes --no-install-recommends( [a-z0-9.-]+)+", command
            )
        assert not re.search(r"\|\s*(ba)?sh\b", command)


def test_the_app_s_image_has_what_llama_cpp_needs_and_a_slim_image_lacks() -> None:
    installed = [command for command in list_commands(FILES["app"]) if command.startswith("apt-get install")]
    assert [command.split()[-1] for command in installed] == ["libgomp1"]


@each_file
def test_packages_of_python_are_wheels_checked_by_their_hashes(file: Dockerfile) -> None:
    for command in list_commands(file):
        if not re.search(r"/pip (--python \S+ )?(install|wheel) ", command):
            continue
        words = set(command.split())
        assert "--no-deps" in words
        if "-r" in words:
            assert {"--require-hashes", "--only-binary=:all:"} <= words
        elif "wheel" in words:  # the project itself, with the tools of the lock file
            assert "--no-build-isolation" in words
            assert command.endswith(" /build/source")
        else:
            assert command.endswith(" --no-index --find-links /build/wheels inferlog")
        assert "--no-cache-dir" in words or any(
            "PIP_NO_CACHE_DIR=1" in each.text for each in file.list_instructions("ENV")
        )


@each_file
def test_gems_are_exact(file: Dockerfile) -> None:
    for command in list_commands(file):
        if command.startswith("gem install"):
            assert re.fullmatch(r"gem install (--[a-z-]+ )*[a-z-]+:\d+\.\d+\.\d+", command)


@pytest.mark.parametrize("name", ["app", "setup", "traffic"])
def test_running_image_has_nothing_that_installs_or_builds(name: str) -> None:
    build, running = FILES[name].stages
    made = [command for each in build if each.name == "RUN" for command in re.split(r" && ", each.text)]
    assert "python -m venv --without-pip /venv" in [command.strip() for command in made]
    removed = "pip uninstall --yes --root-user-action ignore pip setuptools wheel"
    assert removed in [each.text for each in running if each.name == "RUN"], "the base image brings them"
    if name != "traffic":
        lock = (ROOT / "infra" / "python" / f"requirements-{name.replace('app', 'server')}.lock").read_text()
        assert not re.search(r"^(hatchling|setuptools|wheel|pip)==", lock, re.MULTILINE)


@each_file
def test_image_of_a_service_has_a_health_check(file: Dockerfile) -> None:
    checks = [instruction for instruction in file.stages[-1] if instruction.name == "HEALTHCHECK"]
    if file not in (FILES["app"], FILES["fluentd"]):
        # Set-up and traffic without its page end by themselves, and have no endpoint. NONE would make `--wait` fail.
        assert not checks
        return
    (check,) = checks
    assert {option.partition("=")[0] for option in check.options} == {
        "--interval",
        "--timeout",
        "--start-period",
        "--retries",
    }
    assert check.text.startswith("CMD [")


@each_file
def test_signal_that_stops_the_container_is_sigterm(file: Dockerfile) -> None:
    """At SIGINT Locust keeps its page open, and Docker kills it after the grace period."""
    assert {each.text for each in file.list_instructions("STOPSIGNAL")} <= {"SIGTERM"}


@each_file
def test_no_secret_is_baked_in(file: Dockerfile) -> None:
    for instruction in (
        *file.list_instructions("ARG"),
        *file.list_instructions("ENV"),
        *file.list_instructions("LABEL"),
    ):
        assert not SECRET.search(instruction.text)
    assert not any("--mount=type=secret" in option for run in file.list_instructions("RUN") for option in run.options)


@each_file
def test_main_process_receives_signals(file: Dockerfile) -> None:
    """In shell form a shell would be process 1, and would keep SIGTERM to itself."""
    for instruction in (*file.list_instructions("CMD"), *file.list_instructions("ENTRYPOINT")):
        assert instruction.is_exec_form


@each_file
def test_copied_paths_exist_and_are_in_the_build_context(file: Dockerfile) -> None:
    sent = file.list_admitted()
    for copy in file.list_instructions("COPY"):
        if any(option.startswith("--from=") for option in copy.options):
            continue
        *sources, _ = copy.words
        for source in sources:
            path = source.strip("/")
            assert path == "." or any(each == path or each.startswith(f"{path}/") for each in sent), source


@each_file
def test_the_image_itself_holds_no_copy_of_the_whole_checkout(file: Dockerfile) -> None:
    sources = [copy.words[0] for copy in file.stages[-1] if copy.name == "COPY"]
    assert "." not in sources


@each_file
def test_build_context_has_no_secret_or_unused_file(file: Dockerfile) -> None:
    patterns = [line for line in (file.context / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert patterns[0] == "*", "unlisted files are not sent"
    assert all(is_ignored(path, patterns) for path in NEVER_SENT)
    sent = file.list_admitted()
    assert not [path for path in sent if re.search(r"__pycache__|\.pyc$|\.jsonl$|\.log$|\.key$|\.env$|\.sqlite", path)]


@pytest.mark.parametrize(
    ("path", "patterns", "ignored"),
    [
        ("a/b.py", ["*"], True),
        ("a/b.py", ["*", "!a"], False),
        ("a/__pycache__/b.pyc", ["*", "!a", "**/__pycache__"], True),
        ("a/b/c.py", ["a/*"], True),
        ("a.py", ["a/*"], False),
        ("x/y/z.md", ["**/*.md"], True),
        ("z.md", ["**/*.md"], True),
        ("z.md.txt", ["*.md"], False),
    ],
)
def test_dockerignore_reader_matches_docker(path: str, patterns: list[str], ignored: bool) -> None:
    assert is_ignored(path, patterns) is ignored


def test_build_context_makes_a_complete_package(tmp_path: Path) -> None:
    """The step `pip install /build/source` of two images, in a folder with what .dockerignore lets through."""
    source = tmp_path / "source"
    for path in FILES["app"].list_admitted():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, source / path)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("inferlog-*.whl")
    files = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "inferlog/__init__.py",
        "inferlog_server/__main__.py",
        "inferlog_ops/cli/stack.py",
        "inferlog_ops/_assets/infra/elasticsearch/roles/inferlog_fluentd.json",
        "inferlog_ops/_assets/infra/elasticsearch/index_templates/inferlog-events.json",
        "inferlog_ops/_assets/dashboards/inferlog-overview.json",
        "inferlog_ops/_assets/dashboards/queries/p99_latency.esql",
        "inferlog_ops/_assets/kibana/data_views/inferlog-events.json",
        "inferlog_ops/_assets/scripts/traffic/locustfile.py",
    } <= files
    for folder, name in (("infra/elasticsearch", "*.json"), ("kibana", "*.json"), ("dashboards", "*.esql")):
        for asset in (ROOT / folder).rglob(name):
            assert f"inferlog_ops/_assets/{asset.relative_to(ROOT).as_posix()}" in files
