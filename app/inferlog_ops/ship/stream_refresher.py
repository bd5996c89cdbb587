"""Refresh of the streams before ``ship --once`` ends, so that a query right after it counts all documents."""

import threading
from collections.abc import Iterable

from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.ship.bulk_client import BulkClient, NoAnswerError
from inferlog_ops.ship.bulk_response import RefusedRequestError

# The key lacks the privilege, or a proxy blocks the refresh. All other errors are temporary.
_NEVER_REFRESHES = frozenset({400, 403, 405, 410, 501})


class StreamRefresher:
    """
    Refreshes each stream once, after its last document.

    This requires the index privilege maintenance. A key without it can still refresh with each bulk request, which
    costs Elasticsearch more.

    Thread-safe.
    """

    def __init__(self, client: BulkClient, log_once: ReportProgress) -> None:
        self._client = client
        self._log_once = log_once
        self._may_refresh: dict[str, bool] = {}
        self._lock = threading.Lock()

    def refreshes_with_bulk(self, stream: str) -> bool:
        """Return whether a bulk request to *stream* must refresh it, because the key does not permit `refresh`."""
        with self._lock:
            if stream not in self._may_refresh:
                try:
                    self._client.refresh(stream)
                except NoAnswerError:
                    return True
                except RefusedRequestError as error:
                    if error.status not in _NEVER_REFRESHES:
                        return True
                    self._may_refresh[stream] = False
                else:
                    self._may_refresh[stream] = True
            return not self._may_refresh[stream]

    def refresh(self, streams: Iterable[str]) -> str | None:
        """Make all documents of *streams* searchable; return the reason if that failed, None on success."""
        for stream in sorted({*streams, *self._may_refresh}):
            if not self._may_refresh.get(stream, True):
                continue
            try:
                self._client.refresh(stream)
            except NoAnswerError as error:
                return f"{stream}: no answer {error}"
            except RefusedRequestError as error:
                if error.status not in _NEVER_REFRESHES:
                    return f"{stream}: Elasticsearch {error}"
                if stream in self._may_refresh:
                    self._log_once(
                        f"{stream}: the API key no longer permits a refresh: the documents become searchable "
                        "after the refresh interval of the stream"
                    )
        return None
