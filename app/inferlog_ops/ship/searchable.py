"""Makes shipped documents searchable before ``ship --once`` ends, so that a query right after it counts all of them."""

import threading
from collections.abc import Iterable

from inferlog_ops.core.progress import Say
from inferlog_ops.ship.store import NoAnswerError, RefusedError, Store

# A key without the privilege, or a proxy that lets no refresh pass. Everything else may be different soon.
_NEVER_REFRESHES = frozenset({400, 403, 405, 410, 501})


class Searchable:
    """
    Refreshes each stream once, after its last document.

    That takes the index privilege maintenance. A key that lacks it can still refresh with the bulk request that adds a
    document, which is more work for the store.

    Safe to use from several threads.
    """

    def __init__(self, store: Store, say_once: Say) -> None:
        self._store = store
        self._say_once = say_once
        self._may_refresh: dict[str, bool] = {}
        self._lock = threading.Lock()

    def refreshes_with_bulk(self, stream: str) -> bool:
        """Return whether a bulk request to *stream* has to refresh it, because `refresh` will not be able to."""
        with self._lock:
            if stream not in self._may_refresh:
                try:
                    self._store.refresh(stream)
                except NoAnswerError:
                    return True
                except RefusedError as error:
                    if error.status not in _NEVER_REFRESHES:
                        return True
                    self._may_refresh[stream] = False
                else:
                    self._may_refresh[stream] = True
            return not self._may_refresh[stream]

    def refresh(self, streams: Iterable[str]) -> str | None:
        """Make all documents of *streams* searchable; return why that is not possible yet, None when it is done."""
        for stream in sorted({*streams, *self._may_refresh}):
            if not self._may_refresh.get(stream, True):
                continue
            try:
                self._store.refresh(stream)
            except NoAnswerError as error:
                return f"{stream}: no answer {error}"
            except RefusedError as error:
                if error.status not in _NEVER_REFRESHES:
                    return f"{stream}: the store {error}"
                if stream in self._may_refresh:
                    self._say_once(
                        f"{stream}: the store no longer lets this shipper refresh: the documents become searchable "
                        "after the refresh interval of the stream"
                    )
        return None
