"""Check of the cluster uuid: lines go only to the cluster that the offsets belong to."""

import threading
import time

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.ship.bulk_client import BulkClient
from inferlog_ops.ship.bulk_response import RefusedRequestError
from inferlog_ops.ship.offset_file import OffsetFile

# Another cluster cannot take over the address in less time without a failed request in between.
_TRUSTED_SECONDS = 2.0

# Statuses with which the uuid stays hidden until the privileges or the proxy change, if Elasticsearch itself answers
# with them. Others are temporary, and so may be the answer of a proxy.
_UUID_HIDDEN = frozenset({400, 403, 404, 405, 410, 501})


class OtherClusterError(OperatorError):
    """The address belongs to another cluster; *found* is its uuid."""

    def __init__(self, *, found: str, offset_file: OffsetFile, shown_url: str) -> None:
        super().__init__(
            f"the Elasticsearch at {shown_url} is not the cluster that {offset_file.path} belongs to "
            f"(cluster uuid {found}; expected {offset_file.cluster_uuid}): give another --state to ship to both, "
            "or --replay to ship every file again from its beginning",
            exit_code=2,
        )
        self.found = found


class ClusterIdentityCheck:
    """Compares the cluster uuid at short intervals. Thread-safe."""

    def __init__(self, *, client: BulkClient, offset_file: OffsetFile, log_once: ReportProgress) -> None:
        self._client = client
        self._offset_file = offset_file
        self._log_once = log_once
        self._lock = threading.Lock()
        self._is_enabled = True
        self._trusted_until = 0.0

    def distrust(self) -> None:
        """Request the uuid at the next check: another cluster may have taken over the address during a failure."""
        with self._lock:
            self._trusted_until = 0.0

    def check(self) -> None:
        """
        Return if the cluster is the right one or hides its uuid. The first uuid becomes the right one.

        Raises:
            OtherClusterError: If it is another cluster.
            NoAnswerError: If there was no response.
        """
        with self._lock:
            if not self._is_enabled or time.monotonic() < self._trusted_until:
                return
            try:
                found = self._client.read_cluster_uuid()
            except RefusedRequestError as error:
                self._handle_refusal(error)
                return
            if self._offset_file.cluster_uuid is None:
                self._offset_file.cluster_uuid = found
            elif self._offset_file.cluster_uuid != found:
                raise OtherClusterError(found=found, offset_file=self._offset_file, shown_url=self._client.shown_url)
            self._trusted_until = time.monotonic() + _TRUSTED_SECONDS

    def _handle_refusal(self, error: RefusedRequestError) -> None:
        """Continue without the uuid: a problem of the cluster also shows in the results of the lines."""
        if error.status not in _UUID_HIDDEN:
            return
        if error.error_type:
            self._is_enabled = False
            self._log_once(
                f"the cluster uuid is not available (Elasticsearch {error}): if another cluster takes over the "
                "address, it receives only new lines (grant the cluster privilege monitor to prevent it)"
            )
        else:
            self._trusted_until = time.monotonic() + _TRUSTED_SECONDS
            # Without the text, which may contain the id of a request.
            self._log_once(
                f"the cluster uuid is not available (a proxy answered {error.status}): it is requested again"
            )
