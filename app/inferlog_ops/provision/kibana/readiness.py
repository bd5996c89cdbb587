"""Wait for a starting Kibana, and check of its space."""

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.core.wait import wait_while
from inferlog_ops.provision.desired import Request, is_success
from inferlog_ops.provision.kibana.address import DEFAULT_SPACE
from inferlog_ops.provision.kibana.client import KibanaClient, KibanaResponse, UnreachableError

_STATUS = Request(method="GET", path="/api/status")
_STILL_STARTING = {502, 503, 504}
_USABLE = {"available", "degraded"}


def wait_until_ready(client: KibanaClient, *, timeout_seconds: float, on_progress: ReportProgress) -> None:
    """
    Wait until Kibana is available; report progress every few seconds.

    Raises:
        OperatorError: If it is not ready after *timeout_seconds*, is not a Kibana, rejects the credentials, or lacks
            the space.
    """
    wait_while(
        lambda: _find_missing(client),
        client.kibana.base_url,
        timeout_seconds=timeout_seconds,
        on_progress=on_progress,
        advice="is the address right, and is it running?",
    )
    _check_space(client)


def _find_missing(client: KibanaClient) -> str | None:
    """Return why Kibana is not ready yet; None if it is."""
    try:
        answer = client.send_outside_space(_STATUS, "reading its status")
    except UnreachableError as error:
        return f"no connection ({error.reason})"
    level = _read_overall_level(answer)
    if answer.status in _STILL_STARTING:
        return f"it answers {answer.status}" + (f", its status is {level}" if level else "")
    if not is_success(answer) or level is None:
        raise OperatorError(
            f"{client.kibana.base_url} is not a Kibana: it answered /api/status with {answer.status} and no status; "
            "is the base path missing in the address?"
        )
    return None if level in _USABLE else f"its status is {level}"


def _read_overall_level(answer: KibanaResponse) -> str | None:
    try:
        return str(answer.json["status"]["overall"]["level"])
    except (KeyError, TypeError):
        return None


def _check_space(client: KibanaClient) -> None:
    """Reject a missing space: Kibana would store its objects, but nobody could see them."""
    space = client.kibana.space
    if space == DEFAULT_SPACE:
        return
    answer = client.send_outside_space(
        Request(method="GET", path=f"/api/spaces/space/{space}"), f"looking for the space {space}"
    )
    if answer.status == 404:
        raise OperatorError(f"{client.kibana.base_url} has no space {space!r}; create it, then provision again")
    if not is_success(answer):
        raise OperatorError(
            f"looking for the space {space}: {client.kibana.base_url} answered {answer.status}: {answer.message}"
        )
