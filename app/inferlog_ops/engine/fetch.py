"""
Brings the locked jars into the shared cache: exactly the locked files, several at once, each checked.

They come from where ``jgo`` looks for published jars, or from the Maven repository in ``INFERLOG_MAVEN_MIRROR``.
"""

import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import requests
from jgo.maven import MavenContext, PythonResolver

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say
from inferlog_ops.engine.blueprint import Jar
from inferlog_ops.engine.integrity import differing, is_intact

_AT_ONCE = 6
_TRIES = 3
_TIMEOUT_SECONDS = 20
_SECONDS_BETWEEN_LINES = 1.0
_SCRATCH_PREFIX = ".fetch-"


def fetch_missing(jars: Collection[Jar], cache: Path, say: Say) -> None:
    """
    Make *cache* hold every one of *jars*, intact.

    A file appears in the cache under its name only when it is whole and checked. One that is there and differs from
    the lock file, cut off by a crash of the machine for instance, is fetched again. Two processes may do this at
    once: the second waits for the first.

    Raises:
        OperatorError: If the cache cannot be written, there is no network, or a fetched file is not the locked one.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _one_process_at_a_time(cache, say):
            if missing := [jar for _, jar in differing([(cache / jar.file, jar) for jar in jars])]:
                _fetch(missing, cache, say)
    except OSError as error:
        raise OperatorError(
            f"the engine's jars cannot be kept in {cache}: {error.strerror or error}; "
            "mend that, or set XDG_CACHE_HOME to a directory that can be written"
        ) from error


@contextmanager
def _one_process_at_a_time(cache: Path, say: Say) -> Generator[None]:
    with (cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another command that is fetching the engine's jars")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(jars: list[Jar], cache: Path, say: Say) -> None:
    for left_by_a_crash in cache.glob(f"{_SCRATCH_PREFIX}*"):
        shutil.rmtree(left_by_a_crash)
    progress = _Progress(jars, say)
    resolver = PythonResolver(progress_callback=lambda *_: progress.counting())
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        fetches = [pool.submit(_fetch_one, jar, resolver, cache) for jar in jars]
        try:
            for fetch in fetches:
                fetch.result()
                progress.one_done()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fetch_one(jar: Jar, resolver: PythonResolver, cache: Path) -> None:
    for tries_left in reversed(range(_TRIES)):
        # In the cache itself, so that moving the finished file into place is one atomic step.
        with tempfile.TemporaryDirectory(prefix=_SCRATCH_PREFIX, dir=cache) as scratch:
            maven = MavenContext(
                repo_cache=Path(scratch), remote_repos=_mirror(), timeout=_TIMEOUT_SECONDS, resolver=resolver
            )
            try:
                fetched = maven.create_dependency(jar.coordinates).artifact.resolve()
            except (requests.RequestException, RuntimeError) as error:
                if tries_left:
                    continue
                raise OperatorError(
                    f"{jar.file} cannot be fetched ({_innermost(error)}); the engine's first start needs the "
                    "network, later ones do not: connect, then start again"
                ) from error
            if not is_intact(fetched, jar):
                raise OperatorError(
                    f"{jar.file} as fetched is not the file that the lock file names (its SHA-256 differs); it was "
                    "thrown away and nothing was started: start again, from another network if it stays so"
                )
            fetched.chmod(0o444)
            fetched.replace(cache / jar.file)
            return


def _mirror() -> dict[str, str] | None:
    address = os.environ.get("INFERLOG_MAVEN_MIRROR")
    return {"mirror": address.rstrip("/")} if address else None


def _innermost(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return f"{type(error).__name__}: {error}"


class _Progress:
    """Adds up what all threads fetch and says so about once a second."""

    def __init__(self, jars: list[Jar], say: Say) -> None:
        self._say = say
        self._files = len(jars)
        self._files_done = 0
        self._megabytes = sum(jar.size_bytes for jar in jars) / 1e6
        self._bytes_done = 0
        self._said_at = monotonic()
        self._lock = threading.Lock()

    @contextmanager
    def counting(self) -> Generator[Callable[[int], None]]:
        """Give the function that one download calls with the length of each piece."""
        yield self._add

    def one_done(self) -> None:
        with self._lock:
            self._files_done += 1
            if self._files_done == self._files:
                self._tell()

    def _add(self, size_bytes: int) -> None:
        with self._lock:
            self._bytes_done += size_bytes
            if monotonic() - self._said_at >= _SECONDS_BETWEEN_LINES:
                self._tell()

    def _tell(self) -> None:
        self._said_at = monotonic()
        self._say(
            f"fetching the engine: jars {self._files_done}/{self._files}, "
            f"{self._bytes_done / 1e6:.0f} of {self._megabytes:.0f} MB"
        )
