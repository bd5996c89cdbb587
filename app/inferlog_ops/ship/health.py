"""Periodic health lines of the shipper itself, in a log file that it ships like any other."""

import time
from pathlib import Path
from typing import Any, Final

from inferlog import __version__
from inferlog.event import to_redacted_text
from inferlog.recorder import LineRecorder, make_id_maker, make_instance_id
from inferlog.sinks.file import FileLimits, FileSink
from inferlog.sinks.retention import Retention
from inferlog_ops.ship.settings import MEBIBYTE
from inferlog_ops.ship.status import ShipperStatus

HEARTBEAT: Final = "shipper_heartbeat"
STOPPED: Final = "shipper_stopped"
"""Message of the last line: the shipper ends on purpose, and missing heartbeats are not an alarm."""

_SERVICE: Final = "inferlog-shipper"
_FILES_OF_SHIPPERS: Final = "health-inferlog_shipper-*.jsonl"
_LIMITS: Final = FileLimits(max_file_bytes=MEBIBYTE, max_file_age_seconds=3600.0)
_KEEP_SHIPPED_SECONDS: Final = 24 * 3600.0
_MAX_TOTAL_BYTES: Final = 16 * MEBIBYTE  # about four days of unshipped lines
_REASONS: Final = 5
_REASON_CHARACTERS: Final = 300


class Health:
    """
    Writes health lines into the log directory. Not thread-safe.

    The directory belongs to the services: the shipper does not create it, and deletes only shippers' files in it.

    Args:
        logs: The log directory.
        shipper_id: The same at every start, unlike the instance id.
        every_seconds: Interval between lines; 0 for none, not even a last one.

    Attributes:
        is_enabled: Whether lines are written at all.
        trouble: Why the last line was lost; None if it was written.
    """

    def __init__(self, logs: Path, *, shipper_id: str, every_seconds: float) -> None:
        self.is_enabled = every_seconds > 0
        self.trouble: str | None = None
        self._logs = logs
        self._shipper_id = shipper_id
        self._every_seconds = every_seconds
        self._due_at = time.monotonic() + every_seconds
        self._instance_id = make_instance_id()
        sink = FileSink(
            logs,
            stream="health",
            service=_SERVICE,
            instance_id=self._instance_id,
            limits=_LIMITS,
            retention=Retention(
                logs,
                keep_shipped_seconds=_KEEP_SHIPPED_SECONDS,
                max_total_bytes=_MAX_TOTAL_BYTES,
                names=_FILES_OF_SHIPPERS,
            ),
        )
        self._recorder = LineRecorder(
            sink,
            dataset="inference.health",
            service={"name": _SERVICE, "version": __version__, "instance": {"id": self._instance_id}},
            make_id=make_id_maker(),
        )

    def is_due(self) -> bool:
        return self.is_enabled and time.monotonic() >= self._due_at

    def owns(self, name: str) -> bool:
        """Whether this process writes the file *name*."""
        return self._instance_id in name

    def record(self, status: ShipperStatus, message: str = HEARTBEAT) -> bool:
        """Write *status* as a health line; return whether it was written. Never raises."""
        self._due_at = time.monotonic() + self._every_seconds
        if not self._logs.is_dir():
            return False  # its creator decides about its permissions
        written = self._recorder.record(_build_line(status, self._shipper_id, message))
        self.trouble = None if written else f"cannot write to {self._logs}"
        return written

    def close(self) -> None:
        self._recorder.close()


def _build_line(status: ShipperStatus, shipper_id: str, message: str) -> dict[str, Any]:
    counts = status.counts
    shipper: dict[str, Any] = {
        "id": shipper_id,
        "shipped": counts.shipped,
        "duplicates": counts.duplicates,
        "refused": counts.dead_lettered,
        "lost_bytes": counts.lost_bytes,
        "retries": status.retries,
        "behind_bytes": status.behind_bytes,
        "behind_seconds": round(status.behind_seconds, 6),
    }
    if status.behind_events is not None:
        shipper["behind_events"] = status.behind_events
    if status.clock_skew_seconds is not None:
        shipper["clock_skew_seconds"] = round(status.clock_skew_seconds, 6)
    if status.waiting:
        shipper["waiting"] = [to_redacted_text(reason, _REASON_CHARACTERS) for reason in status.waiting[:_REASONS]]
    level = "warning" if status.waiting or status.reported_clock_skew_seconds else "info"
    return {"message": message, "log": {"level": level, "logger": "inferlog_ops.ship"}, "shipper": shipper}
