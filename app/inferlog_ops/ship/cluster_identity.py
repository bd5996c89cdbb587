"""Sees to it that lines go to the store that the positions are about, and not to another one under its address."""

import threading
import time

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say
from inferlog_ops.ship.positions import PositionFile
from inferlog_ops.ship.store import RefusedError, Store

# No Elasticsearch comes up in less time on another one's address without a request failing in between.
_TRUSTED_SECONDS = 2.0

# It will not tell as long as nobody changes its rights, or what stands before it. All else may be different soon.
_NEVER_TELLS = frozenset({400, 403, 404, 405, 410, 501})


class OtherStoreError(OperatorError):
    """Another Elasticsearch answers; *found* is its cluster uuid."""

    def __init__(self, *, found: str, positions: PositionFile, shown_url: str) -> None:
        super().__init__(
            f"the Elasticsearch at {shown_url} is not the one that {positions.path} is about "
            f"(cluster uuid {found}; wanted {positions.store}): give another --state to ship to both, "
            "or --replay to send this one every file from its beginning",
            exit_code=2,
        )
        self.found = found


class ClusterIdentityCheck:
    """Asks the store now and then which one it is. Safe to use from several threads."""

    def __init__(self, *, store: Store, positions: PositionFile, say_once: Say) -> None:
        self._store = store
        self._positions = positions
        self._say_once = say_once
        self._lock = threading.Lock()
        self._asking = True
        self._trusted_until = 0.0

    def check(self) -> None:
        """
        Return if the store is the right one, or does not tell. The first one that tells is the right one.

        Raises:
            OtherStoreError: If it is another one.
            NoAnswerError: If there was no answer.
        """
        with self._lock:
            if not self._asking or time.monotonic() < self._trusted_until:
                return
            try:
                found = self._store.identity()
            except RefusedError as error:
                self._note_silence(error)
                return
            if self._positions.store is None:
                self._positions.store = found
            elif self._positions.store != found:
                raise OtherStoreError(found=found, positions=self._positions, shown_url=self._store.shown_url)
            self._trusted_until = time.monotonic() + _TRUSTED_SECONDS

    def _note_silence(self, error: RefusedError) -> None:
        """Go on without an answer: what holds up the store will show in what becomes of the lines."""
        if error.status in _NEVER_TELLS:
            self._asking = False
            self._say_once(
                f"asked which one it is, the store {error}: should another one take its address, that one will get "
                "only what is new (the cluster privilege monitor prevents it)"
            )
