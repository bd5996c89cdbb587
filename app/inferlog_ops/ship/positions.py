"""The position file: up to where each file is answered, kept through crashes."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say
from inferlog_ops.ship.offsets import Fingerprint, TrackedFile

_VERSION = 1


@dataclass(frozen=True, slots=True)
class SavedPosition:
    """Every line of the file that *identity* describes is answered up to *position* (bytes)."""

    identity: Fingerprint
    position: int


class PositionFile:
    """
    ``positions.json`` in the state directory.

    It belongs to one namespace of one store: elsewhere the same positions would pass over lines that were never sent.

    Attributes:
        path: Where it lies.
        store: Which store it is about (cluster uuid); None for as long as none has told.
    """

    def __init__(self, path: Path, namespace: str) -> None:
        self.path = path
        self.store: str | None = None
        self._namespace = namespace

    def load(self, say: Say) -> dict[str, SavedPosition]:
        """
        Return the saved positions by file name. A file that makes no sense is moved aside, and *say* is told.

        Raises:
            OperatorError: If the positions are of another namespace, or of a newer inferlog.
            OSError: If the file cannot be read.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            saved = orjson.loads(content)
            self._check_version(saved["version"])
            positions, namespace, store = _positions(saved["files"]), saved["namespace"], _store(saved)
        except (ValueError, KeyError, TypeError) as error:
            self._move_aside(error, say)
            return {}
        if namespace != self._namespace:
            raise OperatorError(
                f"{self.path} is about the namespace {namespace}, not {self._namespace}: "
                "one state directory serves one namespace of one store, give another --state",
                exit_code=2,
            )
        self.store = store
        return positions

    def start_over(self, store: str) -> None:
        """Forget every position, and be about *store* from now on."""
        self.store = store
        self.save([])

    def save(self, files: Iterable[TrackedFile]) -> None:
        """Write the positions of *files* so that a crash at any moment leaves the old ones or the new ones."""
        content = {
            "version": _VERSION,
            "namespace": self._namespace,
            "store": self.store,
            "files": {file.name: _row(file) for file in files},
        }
        replace_file(self.path, orjson.dumps(content), durable=True)

    def _check_version(self, version: Any) -> None:
        if version != _VERSION:
            raise OperatorError(
                f"{self.path} has version {version!r}, this inferlog reads {_VERSION}: "
                "use the inferlog that wrote it, or give another --state"
            )

    def _move_aside(self, error: Exception, say: Say) -> None:
        aside = self.path.with_name(f"{self.path.name}.corrupt-{time.time_ns()}")
        self.path.rename(aside)
        say(
            f"the position file {self.path} makes no sense ({error!r}) and is now {aside.name}: every file is sent "
            "again from its beginning; lines that the store has count as duplicates"
        )


def replace_file(path: Path, content: bytes, *, durable: bool) -> None:
    """
    Put *content* in the place of *path* at once, so that a reader sees all of it or what was there before.

    Args:
        path: The file to replace.
        content: All that it will hold.
        durable: Whether it must be whole after a power failure, too, which costs waiting for the disk.
    """
    temporary = path.with_name(f".{path.name}.new")
    # Where others can write, too, a link may lie there: it goes, and what it leads to stays as it is.
    temporary.unlink(missing_ok=True)
    with temporary.open("xb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)


def _row(file: TrackedFile) -> dict[str, Any]:
    identity = file.identity
    return {
        "device": identity.device,
        "inode": identity.inode,
        "head_bytes": identity.head_bytes,
        "head_digest": identity.head_digest,
        "position": file.position,
    }


def _positions(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, SavedPosition]:
    return {name: SavedPosition(_identity(row), _whole_number(row["position"])) for name, row in rows.items()}


def _identity(row: Mapping[str, Any]) -> Fingerprint:
    return Fingerprint(
        device=_whole_number(row["device"]),
        inode=_whole_number(row["inode"]),
        head_bytes=_whole_number(row["head_bytes"]),
        head_digest=str(row["head_digest"]),
    )


def _store(saved: Mapping[str, Any]) -> str | None:
    store = saved.get("store")
    if store is not None and not isinstance(store, str):
        raise ValueError(f"{store!r} is no cluster uuid")
    return store


def _whole_number(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no whole number of 0 or more")
    return value
