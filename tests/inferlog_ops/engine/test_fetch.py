"""Fetching from a real HTTP server on this machine that answers like a Maven repository."""

import gc
import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import say_nothing
from inferlog_ops.engine.blueprint import Jar
from inferlog_ops.engine.fetch import fetch_missing

# jgo leaves the connection of a refused download to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

CONTENTS = {f"part{number}": f"content of {number} ".encode() * 20_000 for number in range(12)}


class Repository:
    """Serves ``org.example:<name>:1.0`` and remembers what it was asked for."""

    def __init__(self) -> None:
        self.contents = dict(CONTENTS)
        self.asked: Counter[str] = Counter()
        self.failures_left: Counter[str] = Counter()

    def answer(self, path: str) -> tuple[HTTPStatus, bytes]:
        found = re.fullmatch(r"/org/example/(\w+)/1\.0/\1-1\.0\.jar(\.sha1)?", path)
        if not found or found[1] not in self.contents:
            return HTTPStatus.NOT_FOUND, b""
        content = self.contents[found[1]]
        if found[2]:
            return HTTPStatus.OK, hashlib.sha1(content).hexdigest().encode()
        self.asked[found[1]] += 1
        if self.failures_left[found[1]] > 0:
            self.failures_left[found[1]] -= 1
            return HTTPStatus.SERVICE_UNAVAILABLE, b""
        return HTTPStatus.OK, content


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    repository = Repository()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = repository.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        monkeypatch.setenv("INFERLOG_MAVEN_MIRROR", f"http://127.0.0.1:{server.server_port}/")
        yield repository
        server.shutdown()
        thread.join()
    gc.collect()


def jar(name: str) -> Jar:
    content = CONTENTS[name]
    return Jar(
        part="server",
        coordinates=f"org.example:{name}:1.0",
        file=f"{name}-1.0.jar",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


ALL = [jar(name) for name in CONTENTS]


def files_in(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.iterdir() if path.name != ".lock"}


def test_a_fresh_cache_holds_every_jar_and_nothing_else(repository: Repository, tmp_path: Path) -> None:
    said: list[str] = []
    fetch_missing(ALL, tmp_path / "cache", said.append)
    assert files_in(tmp_path / "cache") == {f"{name}-1.0.jar": content for name, content in CONTENTS.items()}
    assert said[-1] == "fetching the engine: jars 12/12, 3 of 3 MB"
    assert repository.asked.total() == 12


def test_nothing_is_fetched_twice(repository: Repository, tmp_path: Path) -> None:
    fetch_missing(ALL, tmp_path, say_nothing)
    fetch_missing(ALL, tmp_path, say_nothing)
    assert repository.asked.total() == 12


@pytest.mark.parametrize(
    "broken", [b"", CONTENTS["part3"][:100], b"X" + CONTENTS["part3"][1:]], ids=["empty", "cut off", "changed"]
)
def test_a_broken_jar_in_the_cache_is_fetched_again(repository: Repository, tmp_path: Path, broken: bytes) -> None:
    fetch_missing(ALL, tmp_path, say_nothing)
    path = tmp_path / "part3-1.0.jar"
    path.unlink()
    path.write_bytes(broken)
    fetch_missing(ALL, tmp_path, say_nothing)
    assert path.read_bytes() == CONTENTS["part3"]
    assert repository.asked["part3"] == 2
    assert repository.asked.total() == 13


def test_what_a_killed_fetch_left_is_cleared_away(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / ".fetch-abc").mkdir()
    (tmp_path / ".fetch-abc/part.jar").write_bytes(b"half")
    fetch_missing(ALL, tmp_path, say_nothing)
    assert len(files_in(tmp_path)) == len(ALL)


def test_two_at_once_fetch_each_jar_once(repository: Repository, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: fetch_missing(ALL, tmp_path, say_nothing), range(2)))
    assert repository.asked == dict.fromkeys(CONTENTS, 1)
    assert len(files_in(tmp_path)) == len(ALL)


def test_a_passing_failure_is_tried_again(repository: Repository, tmp_path: Path) -> None:
    repository.failures_left["part5"] = 2
    fetch_missing(ALL, tmp_path, say_nothing)
    assert repository.asked["part5"] == 3


def test_a_jar_of_other_content_is_refused_and_not_kept(repository: Repository, tmp_path: Path) -> None:
    repository.contents["part7"] = b"something else"
    with pytest.raises(OperatorError, match=r"part7-1\.0\.jar as fetched is not the file that the lock file names"):
        fetch_missing(ALL, tmp_path, say_nothing)
    assert "part7-1.0.jar" not in files_in(tmp_path)


def test_a_jar_that_is_nowhere_is_named(repository: Repository, tmp_path: Path) -> None:
    nowhere = replace(ALL[0], coordinates="org.example:nowhere:1.0", file="nowhere-1.0.jar")
    with pytest.raises(OperatorError, match=r"nowhere-1\.0\.jar cannot be fetched"):
        fetch_missing([nowhere], tmp_path, say_nothing)


def test_no_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INFERLOG_MAVEN_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(
        OperatorError, match=r"Connection refused.*needs the network.*connect, then start again"
    ) as info:
        fetch_missing(ALL, tmp_path, say_nothing)
    assert "\n" not in str(info.value)
    assert files_in(tmp_path) == {}


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match=r"file/jars: Not a directory; .* set XDG_CACHE_HOME"):
        fetch_missing(ALL, tmp_path / "file/jars", say_nothing)
