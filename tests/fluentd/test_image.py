"""Contents of the image, and its health check."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.fluentd.image_programs import FOLDER, run_health_check

DOCKERFILE = (FOLDER / "Dockerfile").read_text()
INSTRUCTIONS = re.sub(r"\\\n", " ", re.sub(r"^ *#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
GEM = re.compile(r"gem install (?:--\S+ )*(\S+)")


def find_arguments(instruction: str) -> list[str]:
    """Return the arguments of each *instruction*."""
    return [line.split(maxsplit=1)[1] for line in INSTRUCTIONS if line.split(maxsplit=1)[:1] == [instruction]]


def test_base_image_matches_the_settings() -> None:
    assert find_arguments("ARG") == ["FLUENTD_VERSION"], "without a default: no second place that names a version"
    assert find_arguments("FROM") == ["fluent/fluentd:${FLUENTD_VERSION}"]


def test_every_gem_has_an_exact_version_and_the_client_comes_before_the_plugin() -> None:
    gems = GEM.findall(DOCKERFILE)
    assert all(re.fullmatch(r"[a-z_-]+:\d+\.\d+\.\d+", gem) for gem in gems)
    assert gems[-2:] == ["elasticsearch:9.5.0", "fluent-plugin-elasticsearch:6.0.0"]
    assert DOCKERFILE.count("gem install") == DOCKERFILE.count("gem install --no-document --minimal-deps") == len(gems)


def test_the_build_fails_if_a_gem_is_there_in_a_second_version() -> None:
    checked = re.search(r"gem list --local '\^\((.*?)\)\$' \| grep -c '(.*?)\$'\)\" = (\d+)", DOCKERFILE)
    assert checked
    names, pattern, count = checked.groups()
    assert set(names.split("|")) == {gem.partition(":")[0] for gem in GEM.findall(DOCKERFILE)}
    assert int(count) == len(GEM.findall(DOCKERFILE))
    one = re.compile(pattern.replace("(", r"\(").replace(")", r"\)") + "$")
    assert one.search("excon (1.5.0)")
    assert not one.search("excon (1.5.0, 0.112.0)")


def test_it_runs_as_the_user_that_owns_the_log_files() -> None:
    assert find_arguments("USER") == ["root", "1000:0"], "root only to install"
    (folders,) = [line for line in find_arguments("RUN") if line.startswith("install -d")]
    made = re.findall(r"install -d -o 1000 -g 0 -m (\d+) ((?:/\S+ ?)+)", folders)
    assert {path: int(mode, 8) for mode, paths in made for path in paths.split()} == {
        "/fluentd/state": 0o770,
        "/var/log/inferlog": 0o2775,
        "/var/log/inferlog/.shipped": 0o2775,
    }


def test_tini_and_the_supervisor_stay_and_nothing_secret_is_in_it() -> None:
    assert find_arguments("ENTRYPOINT") == ['["tini", "--", "/fluentd/start.sh"]']
    assert find_arguments("CMD") == ['["fluentd"]']
    assert "/bin/entrypoint.sh" in (FOLDER / "start.sh").read_text(), "the image's own, which starts the supervisor"
    assert not find_arguments("ADD")
    assert not find_arguments("ENV")
    sent = (FOLDER / ".dockerignore").read_text().split("\n", 1)[1].split()
    assert sent == ["*", "!fluent.conf", "!conf.d", "!plugins", "!start.sh", "!healthcheck.rb", "!drain.rb"]
    copied = {name.rstrip("/") for line in find_arguments("COPY") for name in line.split()[:-1]}
    assert copied == {line.lstrip("!") for line in sent[1:]}


def test_the_health_check_is_the_one_tested_here() -> None:
    (check,) = find_arguments("HEALTHCHECK")
    assert json.loads(check.partition("CMD ")[2]) == ["ruby", "--disable-gems", "/fluentd/healthcheck.rb"]
    assert {"--interval=10s", "--timeout=5s", "--start-period=30s", "--retries=3"} <= set(check.split())


@contextmanager
def monitor(answer: bytes, status: int = 200) -> Iterator[int]:
    """Run a stand-in for Fluentd's monitor; yield its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/api/plugins.json?@id=store"
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output readable."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def build_plugins(**store: Any) -> bytes:
    return json.dumps({"plugins": [{"plugin_id": "store", "retry_count": 7, **store}]}).encode()


def test_fluentd_with_free_buffer_is_healthy() -> None:
    with monitor(build_plugins(buffer_available_buffer_space_ratios=99.8)) as port:
        done = run_health_check(port)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (build_plugins(buffer_available_buffer_space_ratios=1.9), 200, "the buffer is full (1.9 % free, 7 retries)"),
        (b'{"plugins": []}', 200, "knows no plugin store"),
        (b"<html>", 200, "does not answer"),
        (b"", 503, "answers 503"),
    ],
    ids=["full", "another configuration", "no JSON", "error"],
)
def test_unhealthy_fluentd_is_reported_in_one_line(answer: bytes, status: int, words: str) -> None:
    with monitor(answer, status) as port:
        done = run_health_check(port)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_missing_fluentd_is_unhealthy() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = run_health_check(unused.getsockname()[1])
    assert done.returncode == 1
    assert "does not answer" in done.stderr
