"""The offsets of the log files across restarts: ``positions.json``."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.files import replace_file
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.ship.offsets import Fingerprint, SavedOffset

_VERSION = 1


class OffsetFile:
    """
    ``positions.json`` in the state directory.

    It belongs to one namespace of one cluster: anywhere else the same offsets would skip lines that were never sent.

    Attributes:
        path: The file.
        cluster_uuid: Cluster that the offsets belong to; None until a cluster has returned its uuid.
    """

    def __init__(self, path: Path, namespace: str) -> None:
        self.path = path
        self.cluster_uuid: str | None = None
        self._namespace = namespace

    def load(self, log: ReportProgress) -> dict[str, SavedOffset]:
        """
        Return the saved offsets by file name. Move a corrupt file aside and log it.

        Raises:
            OperatorError: If the offsets belong to another namespace, or to a newer inferlog.
            OSError: If the file is unreadable.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            saved = orjson.loads(content)
            self._check_version(saved["version"])
            offsets, namespace, uuid = _parse_offsets(saved["files"]), saved["namespace"], _parse_cluster_uuid(saved)
        except (ValueError, KeyError, TypeError) as error:
            self._move_aside(error, log)
            return {}
        if namespace != self._namespace:
            raise OperatorError(
                f"{self.path} belongs to the namespace {namespace}, not {self._namespace}: "
                "a state directory serves one namespace of one cluster, give another --state",
                exit_code=2,
            )
        self.cluster_uuid = uuid
        return offsets

    def start_over(self, cluster_uuid: str) -> None:
        """Forget every offset and belong to the cluster *cluster_uuid* from now on."""
        self.cluster_uuid = cluster_uuid
        self.save({})

    def save(self, offsets: Mapping[str, SavedOffset]) -> None:
        """Write *offsets* atomically: a crash leaves the old ones or the new ones."""
        content = {
            "version": _VERSION,
            "namespace": self._namespace,
            "store": self.cluster_uuid,
            "files": {name: _as_row(saved) for name, saved in offsets.items()},
        }
        replace_file(self.path, orjson.dumps(content), durable=True)

    def _check_version(self, version: Any) -> None:
        if version != _VERSION:
            raise OperatorError(
                f"{self.path} has version {version!r}, this inferlog reads {_VERSION}: "
                "use the inferlog that wrote it, or give another --state"
            )

    def _move_aside(self, error: Exception, log: ReportProgress) -> None:
        aside = self.path.with_name(f"{self.path.name}.corrupt-{time.time_ns()}")
        self.path.rename(aside)
        log(
            f"the offset file {self.path} is corrupt ({error!r}) and was moved to {aside.name}: every file is sent "
            "again from its beginning; existing documents count as duplicates"
        )


def _as_row(saved: SavedOffset) -> dict[str, Any]:
    fingerprint = saved.fingerprint
    return {
        "device": fingerprint.device,
        "inode": fingerprint.inode,
        "head_bytes": fingerprint.head_bytes,
        "head_digest": fingerprint.head_digest,
        "position": saved.offset,
        # Earlier versions do not write these, and ignore them.
        "mtime_ns": fingerprint.mtime_ns,
        "missing_since": saved.missing_since,
    }


def _parse_offsets(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, SavedOffset]:
    return {
        name: SavedOffset(_parse_fingerprint(row), _check_count(row["position"]), _parse_missing_since(row))
        for name, row in rows.items()
    }


def _parse_fingerprint(row: Mapping[str, Any]) -> Fingerprint:
    return Fingerprint(
        device=_check_count(row["device"]),
        inode=_check_count(row["inode"]),
        head_bytes=_check_count(row["head_bytes"]),
        head_digest=str(row["head_digest"]),
        mtime_ns=None if row.get("mtime_ns") is None else int(row["mtime_ns"]),
    )


def _parse_missing_since(row: Mapping[str, Any]) -> float | None:
    seconds = row.get("missing_since")
    return None if seconds is None else float(seconds)


def _parse_cluster_uuid(saved: Mapping[str, Any]) -> str | None:
    uuid = saved.get("store")
    if uuid is not None and not isinstance(uuid, str):
        raise ValueError(f"{uuid!r} is not a cluster uuid")
    return uuid


def _check_count(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a whole number of 0 or more")
    return value
