"""
Real Elasticsearch 8.19 with authentication: TLS, users, roles and API keys as in the container stack.

It is the embedded engine with Elastic's security module and with the security settings of docker-compose.yml. So the
privileges of a key are decided by the same code as in the container. Features missing in the embedded engine
(pipelines, lifecycle, the data stream API) are missing here too.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import yaml

from inferlog_ops.core.home import find_cache_dir
from inferlog_ops.core.progress import ignore_progress
from inferlog_ops.engine import blueprint, layout
from inferlog_ops.engine.blueprint import Blueprint, Jar, Module
from tests.support.empty_classes import write_jar
from tests.support.polling import wait_until

SETTINGS_FILE = "settings.yml"
ADDRESS_FILE = "address"

_ROOT = Path(__file__).parents[2]
_PART = "x-pack-security"
_SECURITY = Jar(
    part=_PART,
    coordinates="org.elasticsearch.plugin:x-pack-security:8.19.21",
    file="x-pack-security-8.19.21.jar",
    size_bytes=1880917,
    sha256="88777e216a8246849cd3164b75878e9c0e2a7b93068547653a47325de42f4734",
)
_NOT_PUBLISHED = "org/opensaml/|net/shibboleth/"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredEngine:
    """
    A running engine.

    Attributes:
        url: Its address.
        log: Its log file.
    """

    url: str
    log: Path


@cache
def load_secured_blueprint() -> Blueprint:
    """Return the embedded engine's blueprint with the security module, which has its own copy of the HTTP server."""
    plain = blueprint.load()
    http = [replace(jar, part=_PART) for jar in plain.jars if jar.part == "transport-netty4"]
    module = Module(
        name=_PART,
        artifacts=(_SECURITY.coordinates,),
        plugin_class="org.elasticsearch.xpack.security.Security",
        extends=("x-pack-core",),
    )
    hidden = {jar.file for jar in plain.jars if jar.part == "x-pack-core"}
    own = [jar for jar in http if jar.file not in hidden]
    return replace(plain, modules=(*plain.modules, module), jars=(*plain.jars, *own, _SECURITY))


@contextmanager
def run_secured_engine(home: Path, secrets: Path) -> Iterator[SecuredEngine]:
    """
    Run an engine with its data in *home*; *secrets* is the folder created by set-up for Elasticsearch.

    Raises:
        AssertionError: If it does not start, with the end of its log.
    """
    _lay_out(home, secrets)
    log = home / "engine.log"
    with log.open("ab") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.secured_engine_process", home],
            cwd=_ROOT,
            stdout=said,
            stderr=said,
        )
    with process:
        try:
            yield SecuredEngine(url=_wait_for_address(home, process, log), log=log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()


def _lay_out(home: Path, secrets: Path) -> None:
    for folder in ("config", "logs", "data"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / ADDRESS_FILE).unlink(missing_ok=True)
    if not (home / "config/secrets").exists():
        (home / "config/secrets").symlink_to(secrets)
    plan = load_secured_blueprint()
    laid_out = layout.locate_layout(home, plan)
    if not laid_out.root.exists():
        layout.prepare(plan, home, find_cache_dir() / "jars", ignore_progress)
        write_jar(laid_out.find_part(_PART) / _SECURITY.file, _NOT_PUBLISHED, laid_out.server / "not_published.jar")
    (home / SETTINGS_FILE).write_text(yaml.safe_dump(_build_settings(home)))


def _build_settings(home: Path) -> dict[str, object]:
    compose = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())
    container = compose["services"]["elasticsearch"]["environment"]
    security = {name: value for name, value in container.items() if name.startswith("xpack.")}
    embedded = yaml.safe_load((_ROOT / "infra/engine/elasticsearch.yml").read_text())
    # The security module brings an HTTP server and a transport of its own.
    own = {name: value for name, value in embedded.items() if name not in {"http.type", "transport.type"}}
    paths = {"path.home": str(home), "path.data": str(home / "data"), "path.logs": str(home / "logs")}
    paths["path.repo"] = str(home / "snapshots")
    return {**own, **security, **paths, "http.port": 0}


def _wait_for_address(home: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    address = home / ADDRESS_FILE

    def written_or_dead() -> bool:
        return address.exists() or process.poll() is not None

    wait_until(written_or_dead, timeout_seconds=180, what="the secured engine")
    assert address.exists(), f"the secured engine did not start: {log.read_text()[-3000:]}"
    return address.read_text()
