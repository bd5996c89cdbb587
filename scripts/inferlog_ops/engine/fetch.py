"""Brings the locked jars into the shared cache: exactly the locked files, several at once, each checked."""

import fcntl
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import requests
from jgo.maven import MavenContext, PythonResolver

from inferlog_ops.engine.blueprint import Jar
from inferlog_ops.errors import OperatorError

Say = Callable[[str], None]

_AT_ONCE = 6
_TIMEOUT_SECONDS = 30
_SECONDS_BETWEEN_LINES = 1.0


def fetch_missing(jars: Iterable[Jar], cache: Path, say: Say) -> None:
    """
    Make *cache* hold every one of *jars*, intact.

    Files appear in the cache under their name only when whole and checked. A file that is there and differs from
    the lock file, cut off by a crash for instance, is fetched again. Two processes may do this at once: the second
    waits for the first.

    Raises:
        OperatorError: If the cache cannot be written, there is no network, or a fetched file is not the locked one.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(cache, say):
            missing = [jar for jar in jars if not is_intact(cache / jar.file, jar)]
            if missing:
                _fetch(missing, cache, say)
    except PermissionError as error:
        raise _unwritable(cache, error) from error
    except OSError as error:
        if isinstance(error, requests.RequestException):
            raise
        raise _unwritable(cache, error) from error


def is_intact(path: Path, jar: Jar) -> bool:
    """Whether the file at *path* is there and is what the lock file says."""
    try:
        if path.stat().st_size != jar.size_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _unwritable(cache: Path, error: OSError) -> OperatorError:
    return OperatorError(
        f"the engine's jars cannot be kept in {cache}: {error.strerror or error}; "
        "set XDG_CACHE_HOME to a directory that can be written"
    )


@contextmanager
def _one_at_a_time(cache: Path, say: Say) -> Generator[None]:
    with (cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another command that is fetching the engine's jars")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(jars: list[Jar], cache: Path, say: Say) -> None:
    progress = _Progress(jars, say)
    # In the cache itself, so that moving a finished file into place is one atomic step.
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as scratch:
        maven = MavenContext(
            repo_cache=Path(scratch),
            timeout=_TIMEOUT_SECONDS,
            resolver=PythonResolver(progress_callback=progress.file),
        )
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            futures = [pool.submit(_fetch_one, jar, maven, cache) for jar in jars]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _fetch_one(jar: Jar, maven: MavenContext, cache: Path) -> None:
    try:
        fetched: Path = maven.create_dependency(jar.coordinates).artifact.resolve()
    except requests.RequestException as error:
        raise OperatorError(
            f"{jar.file}: cannot be fetched ({_innermost(error)}); the first start needs the network, "
            "later ones do not: connect and start again"
        ) from error
    except RuntimeError as error:
        raise OperatorError(f"{jar.file}: cannot be fetched ({error}); try again later") from error
    if not is_intact(fetched, jar):
        raise OperatorError(
            f"{jar.file}: what was fetched is not the file that the lock file names (SHA-256 differs); "
            "it was thrown away, nothing was started: try again, and on another network if it stays so"
        )
    fetched.chmod(0o444)
    os.replace(fetched, cache / jar.file)


def _innermost(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return f"{type(error).__name__}: {error}"


class _Progress:
    """Counts files and bytes of all threads and says so about once a second."""

    def __init__(self, jars: list[Jar], say: Say) -> None:
        self._say = say
        self._files = len(jars)
        self._bytes = sum(jar.size_bytes for jar in jars)
        self._files_done = 0
        self._bytes_done = 0
        self._said_at = monotonic()
        self._lock = threading.Lock()

    @contextmanager
    def file(self, _name: str, _size_bytes: int) -> Generator[Callable[[int], None]]:
        yield self._add
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
        done, total = self._bytes_done / 1e6, self._bytes / 1e6
        self._say(f"fetching the engine: jars {self._files_done}/{self._files}, {done:.0f} of {total:.0f} MB")
