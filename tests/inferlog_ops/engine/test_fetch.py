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
from inferlog_ops.core.progress import ignore_progress
from inferlog_ops.engine.blueprint import Jar
from inferlog_ops.engine.fetch import fetch_missing

# jgo leaves the connection of a refused download to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

CONTENTS = {f"part{number}": f"content of {number} ".encode() * 20_000 for number in range(12)}


class Repository:
    """Serves ``org.example:<name>:1.0`` and records the requested paths."""

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


def build_jar(name: str) -> Jar:
    content = CONTENTS[name]
    return Jar(
        part="server",
        coordinates=f"org.example:{name}:1.0",
        file=f"{name}-1.0.jar",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


ALL = [build_jar(name) for name in CONTENTS]


def read_files(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.iterdir() if path.name != ".lock"}


def test_a_fresh_cache_holds_every_jar_and_nothing_else(repository: Repository, tmp_path: Path) -> None:
    said: list[str] = []
    fetch_missing(ALL, tmp_path / "cache", said.append)
    assert read_files(tmp_path / "cache") == {f"{name}-1.0.jar": content for name, content in CONTENTS.items()}
    assert said[-1] == "downloading the engine: jars 12/12, 3 of 3 MB"
    assert repository.asked.total() == 12


def test_cached_jars_are_not_downloaded_again(repository: Repository, tmp_path: Path) -> None:
    fetch_missing(ALL, tmp_path, ignore_progress)
    fetch_missing(ALL, tmp_path, ignore_progress)
    assert repository.asked.total() == 12


@pytest.mark.parametrize(
    "broken", [b"", CONTENTS["part3"][:100], b"X" + CONTENTS["part3"][1:]], ids=["empty", "cut off", "changed"]
)
def test_damaged_jar_in_the_cache_is_downloaded_again(repository: Repository, tmp_path: Path, broken: bytes) -> None:
    fetch_missing(ALL, tmp_path, ignore_progress)
    path = tmp_path / "part3-1.0.jar"
    path.unlink()
    path.write_bytes(broken)
    fetch_missing(ALL, tmp_path, ignore_progress)
    assert path.read_bytes() == CONTENTS["part3"]
    assert repository.asked["part3"] == 2
    assert repository.asked.total() == 13


def test_leftovers_of_a_killed_download_are_removed(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / ".fetch-abc").mkdir()
    (tmp_path / ".fetch-abc/part.jar").write_bytes(b"half")
    fetch_missing(ALL, tmp_path, ignore_progress)
    assert len(read_files(tmp_path)) == len(ALL)


def test_parallel_downloads_fetch_each_jar_once(repository: Repository, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: fetch_missing(ALL, tmp_path, ignore_progress), range(2)))
    assert repository.asked == dict.fromkeys(CONTENTS, 1)
    assert len(read_files(tmp_path)) == len(ALL)


def test_temporary_failure_is_retried(repository: Repository, tmp_path: Path) -> None:
    repository.failures_left["part5"] = 2
    fetch_missing(ALL, tmp_path, ignore_progress)
    assert repository.asked["part5"] == 3


def test_jar_with_another_hash_is_rejected_and_deleted(repository: Repository, tmp_path: Path) -> None:
    repository.contents["part7"] = b"something else"
    with pytest.raises(OperatorError, match=r"the downloaded part7-1\.0\.jar differs from the lock file"):
        fetch_missing(ALL, tmp_path, ignore_progress)
    assert "part7-1.0.jar" not in read_files(tmp_path)


def test_missing_jar_is_reported(repository: Repository, tmp_path: Path) -> None:
    nowhere = replace(ALL[0], coordinates="org.example:nowhere:1.0", file="nowhere-1.0.jar")
    with pytest.raises(OperatorError, match=r"nowhere-1\.0\.jar cannot be downloaded"):
        fetch_missing([nowhere], tmp_path, ignore_progress)


def test_no_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INFERLOG_MAVEN_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(
        OperatorError, match=r"Connection refused.*needs the network.*connect, then start again"
    ) as info:
        fetch_missing(ALL, tmp_path, ignore_progress)
    assert "\n" not in str(info.value)
    assert read_files(tmp_path) == {}


def test_unwritable_cache_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match=r"file/jars: Not a directory; .* set XDG_CACHE_HOME"):
        fetch_missing(ALL, tmp_path / "file/jars", ignore_progress)
