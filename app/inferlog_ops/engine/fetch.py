"""
Download of the locked jars into the shared cache: in parallel, each checked by its hash.

The source is the default repository of ``jgo``, or the Maven repository in ``INFERLOG_MAVEN_MIRROR``.
"""

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
from inferlog_ops.core.files import try_lock, wait_for_lock
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.engine.blueprint import Jar, find_damaged, is_intact

_AT_ONCE = 6
_TRIES = 3
_TIMEOUT_SECONDS = 20
_SECONDS_BETWEEN_LINES = 1.0
_SCRATCH_PREFIX = ".fetch-"


def fetch_missing(jars: Collection[Jar], cache: Path, report: ReportProgress) -> None:
    """
    Download those of *jars* that are missing or damaged in *cache*.

    A file gets its name in the cache only when it is complete and checked. A file that differs from the lock file, for
    example truncated by a crash, is downloaded again. Safe to run in two processes: the second waits for the first.

    Raises:
        OperatorError: If the cache is not writable, there is no network, or a downloaded file has another hash.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _lock_cache(cache, report):
            if missing := [jar for _, jar in find_damaged([(cache / jar.file, jar) for jar in jars])]:
                _fetch(missing, cache, report)
    except OSError as error:
        raise OperatorError(
            f"cannot write the engine's jars to {cache}: {error.strerror or error}; "
            "fix that, or set XDG_CACHE_HOME to a writable directory"
        ) from error


@contextmanager
def _lock_cache(cache: Path, report: ReportProgress) -> Generator[None]:
    with (cache / ".lock").open("w") as lock:
        if not try_lock(lock):
            report("waiting for another command that is downloading the engine's jars")
            wait_for_lock(lock)
        yield


def _fetch(jars: list[Jar], cache: Path, report: ReportProgress) -> None:
    for left_by_a_crash in cache.glob(f"{_SCRATCH_PREFIX}*"):
        shutil.rmtree(left_by_a_crash)
    progress = _Progress(jars, report)
    resolver = PythonResolver(progress_callback=lambda *_: progress.count_download())
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        fetches = [pool.submit(_fetch_one, jar, resolver, cache) for jar in jars]
        try:
            for fetch in fetches:
                fetch.result()
                progress.count_file()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fetch_one(jar: Jar, resolver: PythonResolver, cache: Path) -> None:
    for tries_left in reversed(range(_TRIES)):
        # In the cache itself, so that moving the finished file into place is one atomic step.
        with tempfile.TemporaryDirectory(prefix=_SCRATCH_PREFIX, dir=cache) as scratch:
            maven = MavenContext(
                repo_cache=Path(scratch), remote_repos=_read_mirror(), timeout=_TIMEOUT_SECONDS, resolver=resolver
            )
            try:
                fetched = maven.create_dependency(jar.coordinates).artifact.resolve()
            except (requests.RequestException, RuntimeError) as error:
                if tries_left:
                    continue
                raise OperatorError(
                    f"{jar.file} cannot be downloaded ({_find_root_cause(error)}); the engine's first start needs the "
                    "network, later ones do not: connect, then start again"
                ) from error
            if not is_intact(fetched, jar):
                raise OperatorError(
                    f"the downloaded {jar.file} differs from the lock file (SHA-256); it was deleted and nothing was "
                    "started: start again, from another network if the error repeats"
                )
            fetched.chmod(0o444)
            fetched.replace(cache / jar.file)
            return


def _read_mirror() -> dict[str, str] | None:
    address = os.environ.get("INFERLOG_MAVEN_MIRROR")
    return {"mirror": address.rstrip("/")} if address else None


def _find_root_cause(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return f"{type(error).__name__}: {error}"


class _Progress:
    """Sum of the downloads of all threads, reported about once a second."""

    def __init__(self, jars: list[Jar], report: ReportProgress) -> None:
        self._report = report
        self._files = len(jars)
        self._files_done = 0
        self._megabytes = sum(jar.size_bytes for jar in jars) / 1e6
        self._bytes_done = 0
        self._reported_at = monotonic()
        self._lock = threading.Lock()

    @contextmanager
    def count_download(self) -> Generator[Callable[[int], None]]:
        """Yield the callback of one download, called with the size of each chunk."""
        yield self._add

    def count_file(self) -> None:
        with self._lock:
            self._files_done += 1
            if self._files_done == self._files:
                self._report_total()

    def _add(self, size_bytes: int) -> None:
        with self._lock:
            self._bytes_done += size_bytes
            if monotonic() - self._reported_at >= _SECONDS_BETWEEN_LINES:
                self._report_total()

    def _report_total(self) -> None:
        self._reported_at = monotonic()
        self._report(
            f"downloading the engine: jars {self._files_done}/{self._files}, "
            f"{self._bytes_done / 1e6:.0f} of {self._megabytes:.0f} MB"
        )
