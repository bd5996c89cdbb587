"""The shipper process: its command line, signals and garbage collection, and everything that outlives a run."""

import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from inferlog_ops.core.children import build_module_command
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.ship.bulk_client import BulkClient
from inferlog_ops.ship.checkpoint import AckFile
from inferlog_ops.ship.cluster_identity import ClusterIdentityCheck, OtherClusterError
from inferlog_ops.ship.dead_letters import DeadLetters
from inferlog_ops.ship.delivery import Delivery
from inferlog_ops.ship.health import Health
from inferlog_ops.ship.offset_file import OffsetFile
from inferlog_ops.ship.pipeline import Pipeline, ShipOutcome
from inferlog_ops.ship.settings import ShipSettings
from inferlog_ops.ship.state_dir import StateDir, lock_state_dir, report_unusable
from inferlog_ops.ship.status import Counters, Display
from inferlog_ops.ship.stream_refresher import StreamRefresher

_OBJECTS_BETWEEN_COLLECTIONS = 50_000


class Shipper:
    """Ships one log directory to one namespace of one cluster. Runs once."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        logs: Path,
        state: StateDir,
        display: Display,
        settings: ShipSettings,
        stats_file: Path | None,
        replay: bool,
    ) -> None:
        self._logs = logs
        self._state = state
        self._display = display
        self._settings = settings
        self._stats_file = stats_file
        self._replay = replay
        self._counters = Counters()
        self._offset_file = OffsetFile(state.offset_file, cluster.namespace)
        self._saved = self._offset_file.load(display.log)
        self._client = BulkClient(cluster, settings)
        self._dead_letters = DeadLetters(state.dead_letters)
        self._cluster_identity = ClusterIdentityCheck(
            client=self._client, offset_file=self._offset_file, log_once=display.log_once
        )
        self._health = Health(logs, shipper_id=state.shipper_id, every_seconds=settings.heartbeat_seconds)
        self._is_stop_requested = False

    def stop(self) -> None:
        """Request the end: open requests are drained and the offsets are saved."""
        # A signal handler may call this at any point of the main thread, so it must not take a lock.
        self._is_stop_requested = True

    def run(self, *, once: bool, timeout_seconds: float | None = None) -> ShipOutcome:
        """
        Ship until `stop`, or with *once* until all existing lines are acknowledged and searchable.

        Args:
            once: Whether to end after the existing lines.
            timeout_seconds: Maximum duration.

        Raises:
            OtherClusterError: If the offsets belong to another cluster, unless *replay* ships everything again.
        """
        deadline = time.monotonic() + timeout_seconds if timeout_seconds is not None else None
        while True:
            try:
                return self._build_pipeline(once=once).run(
                    lambda: self._is_stop_requested, once=once, deadline=deadline
                )
            except OtherClusterError as other:
                if not self._replay:
                    raise
                self._start_over(other.found)

    def close(self) -> None:
        """Release files and connections."""
        self._health.close()
        self._dead_letters.close()
        self._client.close()

    def _build_pipeline(self, *, once: bool) -> Pipeline:
        refresher = StreamRefresher(self._client, self._display.log_once) if once else None
        return Pipeline(
            logs=self._logs,
            shipper_id=self._state.shipper_id,
            saved=self._saved,
            offset_file=self._offset_file,
            ack_file=AckFile(self._logs, self._state.shipper_id, self._display.log),
            health=self._health,
            cluster_identity=self._cluster_identity,
            delivery=Delivery(
                client=self._client,
                cluster_identity=self._cluster_identity,
                dead_letters=self._dead_letters,
                counters=self._counters,
                refresher=refresher,
                log_once=self._display.log_once,
            ),
            refresher=refresher,
            counters=self._counters,
            display=self._display,
            settings=self._settings,
            stats_file=self._stats_file,
        )

    def _start_over(self, cluster_uuid: str) -> None:
        """Forget the offsets, which belong to another cluster. Documents that exist in this one count as duplicates."""
        self._display.log(
            f"the Elasticsearch at {self._client.shown_url} is another cluster than before: every file is shipped from "
            "its beginning; existing documents count as already there"
        )
        with report_unusable(self._state.path):
            self._offset_file.start_over(cluster_uuid)
        self._saved = {}


@contextmanager
def open_shipper(
    *,
    cluster: Cluster,
    logs: Path,
    state_dir: Path,
    display: Display,
    settings: ShipSettings | None = None,
    stats_file: Path | None = None,
    replay: bool = False,
) -> Iterator[Shipper]:
    """
    Lock the state directory and yield a shipper that is ready to run.

    Args:
        cluster: Cluster and namespace to ship to.
        logs: The log directory.
        state_dir: The shipper's own directory: offsets and dead letters.
        display: Shows the progress.
        settings: Sizes and timeouts, if not the defaults.
        stats_file: Kept up to date with the status, as JSON.
        replay: Whether to ship everything again if the offsets belong to another cluster, instead of failing.

    Raises:
        OperatorError: If another shipper uses the directory, or its offsets belong to another namespace.
    """
    with lock_state_dir(state_dir) as state:
        with report_unusable(state_dir):
            shipper = Shipper(
                cluster=cluster,
                logs=logs,
                state=state,
                display=display,
                settings=settings or ShipSettings(),
                stats_file=stats_file,
                replay=replay,
            )
        try:
            yield shipper
        finally:
            shipper.close()
            display.close()


def build_ship_command(*, logs: Path, state: Path, namespace: str) -> list[str]:
    """Return the command line that ships *logs*. The cluster comes from the environment of the process."""
    return [
        *build_module_command("inferlog_ops.cli.main", "ship"),
        *("--from", str(logs), "--state", str(state), "--namespace", namespace),
    ]


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Call *stop* on the first SIGTERM or SIGINT. The second one ends the process immediately."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)
        stop()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, handle)


def collect_garbage_seldom() -> None:
    """
    Collect garbage less often, and never among the objects that exist now.

    Lines become thousands of short-lived objects without cycles. Frequent collections took a fifth of the CPU time.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
