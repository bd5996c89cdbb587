"""The weekly look for newer images, beside a docker command that knows which there are."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.compose_go import ROOT

DOCKER = """#!{python}
import json, sys
assert sys.argv[1:3] == ["manifest", "inspect"], sys.argv
with open({asked!r}, "a") as asked:
    print(sys.argv[3], file=asked)
with open({known!r}) as known:
    answer = json.load(known)
if isinstance(answer, str):
    sys.exit(answer)
if sys.argv[3] not in answer:
    sys.exit("no such manifest: " + sys.argv[3])
"""
SETTINGS = """# Images by exact version.
ELASTIC_VERSION=9.5.3
ELASTICSEARCH_MAJOR_VERSION=9
FLUENTD_VERSION=v1.19.3-debian-2.2
PYTHON_VERSION=3.11.14-slim-bookworm
KIBANA_PORT=5601
"""
COMPOSE = """    image: elasticsearch:${ELASTIC_VERSION:-9.5.3}
    image: kibana:${ELASTIC_VERSION:-9.5.3}
    args: {FLUENTD_VERSION: "${FLUENTD_VERSION:-v1.19.3-debian-2.2}"}
    ports: ["127.0.0.1:${KIBANA_PORT:-5601}:5601"]
"""

Bump = Callable[[list[str] | str], subprocess.CompletedProcess[str]]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """The file to change, beside the one that repeats it."""
    path = tmp_path / ".env.example"
    path.write_text(SETTINGS)
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    return path


@pytest.fixture
def bump(tmp_path: Path, settings: Path) -> Bump:
    """Looks for newer versions where only these images exist, or where docker fails with this message."""
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    known, asked = tmp_path / "known.json", tmp_path / "asked"
    docker.write_text(DOCKER.format(python=sys.executable, asked=str(asked), known=str(known)))
    docker.chmod(0o755)

    def run(images: list[str] | str) -> subprocess.CompletedProcess[str]:
        known.write_text(json.dumps(images))
        return subprocess.run(
            [sys.executable, ROOT / ".ci" / "bump_versions.py", "--root", settings.parent],
            env={**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_nothing_newer_changes_nothing(bump: Bump, settings: Path, tmp_path: Path) -> None:
    done = bump([])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert settings.read_text() == SETTINGS
    asked = (tmp_path / "asked").read_text().split()
    assert len(set(asked)) == len(asked) < 30, "few enough for a registry that counts"
    assert not [image for image in asked if re.match(r"elasticsearch:(?!9\.)|python:(?!3\.11\.)", image)]


def test_versions_are_raised_to_the_newest_release(bump: Bump, settings: Path) -> None:
    elastic = [f"{image}:{version}" for image in ("elasticsearch", "kibana") for version in ("9.5.4", "9.6.0", "9.6.2")]
    done = bump([*elastic, "fluent/fluentd:v1.19.3-debian-2.3", "python:3.11.15-slim-bookworm"])
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "- `ELASTIC_VERSION`: 9.5.3 → 9.6.2",
        "- `FLUENTD_VERSION`: v1.19.3-debian-2.2 → v1.19.3-debian-2.3",
        "- `PYTHON_VERSION`: 3.11.14-slim-bookworm → 3.11.15-slim-bookworm",
    ]
    assert settings.read_text() == SETTINGS.replace("9.5.3", "9.6.2").replace("2.2", "2.3").replace(".14-", ".15-")
    compose = settings.with_name("docker-compose.yml").read_text()
    assert compose == COMPOSE.replace("9.5.3", "9.6.2").replace("2.2", "2.3"), "the defaults repeat the settings"


def test_elasticsearch_is_raised_only_with_kibana(bump: Bump, settings: Path) -> None:
    bump(["elasticsearch:9.5.4", "elasticsearch:9.6.0", "kibana:9.5.4"])
    assert "ELASTIC_VERSION=9.5.4\n" in settings.read_text()


def test_fluentd_update_is_found_by_the_first_build_number_of_its_image(bump: Bump, settings: Path) -> None:
    bump(["fluent/fluentd:v1.19.4-debian-2.1", "fluent/fluentd:v1.19.4-debian-2.2"])
    assert "FLUENTD_VERSION=v1.19.4-debian-2.2\n" in settings.read_text()


def test_registry_outage_is_an_error(bump: Bump, settings: Path) -> None:
    done = bump("toomanyrequests: You have reached your pull rate limit")
    assert done.returncode == 1
    assert re.search(r"cannot check whether \S+ exists: toomanyrequests", done.stderr)
    assert settings.read_text() == SETTINGS


def test_every_version_in_the_settings_has_a_rule(bump: Bump, settings: Path, tmp_path: Path) -> None:
    for name in (".env.example", "docker-compose.yml"):
        shutil.copy(ROOT / name, settings.with_name(name))
    assert bump([]).returncode == 0
    versions = re.findall(r"^[A-Z]+_VERSION=(v?\d+\.\d+\.\d+\S*)$", settings.read_text(), re.MULTILINE)
    assert len(versions) == 3, "all that are exact"
