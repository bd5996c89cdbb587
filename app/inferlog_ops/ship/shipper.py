"""Puts together what outlives a run: the store, the state directory, what is counted and shown."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.ship.ack_file import AckFile
from inferlog_ops.ship.cluster_identity import ClusterIdentityCheck, OtherStoreError
from inferlog_ops.ship.counters import Counters
from inferlog_ops.ship.dead_letters import DeadLetters
from inferlog_ops.ship.delivery import Delivery
from inferlog_ops.ship.display import Display
from inferlog_ops.ship.health import Health
from inferlog_ops.ship.main import Outcome, Run
from inferlog_ops.ship.positions import PositionFile
from inferlog_ops.ship.searchable import Searchable
from inferlog_ops.ship.settings import Settings
from inferlog_ops.ship.state_dir import StateDir, held, usable
from inferlog_ops.ship.store import Store


class Shipper:
    """Ships what lies beneath one folder to one namespace of one store. Runs once."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        logs: Path,
        state: StateDir,
        display: Display,
        settings: Settings,
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
        self._positions = PositionFile(state.positions, cluster.namespace)
        self._saved = self._positions.load(display.say)
        self._store = Store(cluster, settings)
        self._letters = DeadLetters(state.dead_letters)
        self._same_store = ClusterIdentityCheck(store=self._store, positions=self._positions, say_once=display.say_once)
        self._health = Health(logs, shipper_id=state.shipper_id, every_seconds=settings.heartbeat_seconds)
        self._stop_asked = False

    def stop(self) -> None:
        """Ask for the end: what is on its way is brought to its end, and the positions are saved."""
        # A signal handler may call this, in the midst of anything that the main thread does: nothing is locked here.
        self._stop_asked = True

    def run(self, *, once: bool, timeout_seconds: float | None = None) -> Outcome:
        """
        Ship until `stop`, or with *once* until all that is there now is answered and searchable.

        Args:
            once: Whether to end by itself.
            timeout_seconds: End after this time at the latest.

        Raises:
            OtherStoreError: If another store answers than the one that the positions are about, unless it is to be
                given everything again.
        """
        deadline = time.monotonic() + timeout_seconds if timeout_seconds is not None else None
        while True:
            try:
                return self._new_run(once=once).until(lambda: self._stop_asked, once=once, deadline=deadline)
            except OtherStoreError as other:
                if not self._replay:
                    raise
                self._start_over(other.found)

    def close(self) -> None:
        """Release files and connections."""
        self._health.close()
        self._letters.close()
        self._store.close()

    def _new_run(self, *, once: bool) -> Run:
        searchable = Searchable(self._store, self._display.say_once) if once else None
        return Run(
            logs=self._logs,
            saved=self._saved,
            positions=self._positions,
            publication=AckFile(self._logs, self._state.shipper_id, self._display.say),
            health=self._health,
            same_store=self._same_store,
            delivery=Delivery(
                store=self._store,
                same_store=self._same_store,
                letters=self._letters,
                counters=self._counters,
                searchable=searchable,
                say_once=self._display.say_once,
            ),
            searchable=searchable,
            counters=self._counters,
            display=self._display,
            settings=self._settings,
            stats_file=self._stats_file,
        )

    def _start_over(self, store: str) -> None:
        """Forget the positions, which are about another store. Whatever this one has by now counts as a duplicate."""
        self._display.say(
            f"the Elasticsearch at {self._store.shown_url} is another one than before: it is sent every file from its "
            "beginning; lines that it has count as already there"
        )
        with usable(self._state.path):
            self._positions.start_over(store)
        self._saved = {}


@contextmanager
def shipper(
    *,
    cluster: Cluster,
    logs: Path,
    state_dir: Path,
    display: Display,
    settings: Settings | None = None,
    stats_file: Path | None = None,
    replay: bool = False,
) -> Iterator[Shipper]:
    """
    Hold the state directory and give a shipper that is ready to run.

    Args:
        cluster: Where to, and to which namespace.
        logs: The folder of log files.
        state_dir: The shipper's own directory: positions and dead letters.
        display: Where progress is shown.
        settings: Sizes and times, if not the usual ones.
        stats_file: Is kept up to date with the figures, as JSON.
        replay: Whether a store that the positions are not about is sent everything, instead of being refused.

    Raises:
        OperatorError: If the directory is another shipper's, or its positions are about something else.
    """
    with held(state_dir) as state:
        with usable(state_dir):
            made = Shipper(
                cluster=cluster,
                logs=logs,
                state=state,
                display=display,
                settings=settings or Settings(),
                stats_file=stats_file,
                replay=replay,
            )
        try:
            yield made
        finally:
            made.close()
            display.close()
