"""Waits for a Kibana that is starting, and makes sure that it is one that can take what is provisioned."""

from typing import Any

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say
from inferlog_ops.core.wait import wait_while
from inferlog_ops.provision.kibana.address import DEFAULT_SPACE
from inferlog_ops.provision.kibana.client import Answer, Client, UnreachableError
from inferlog_ops.provision.kibana.wanted import Request

_OLDEST = (9, 5)
_STATUS = Request(method="GET", path="/api/status")
_STILL_STARTING = {502, 503, 504}
_USABLE = {"available", "degraded"}


def wait_until_ready(client: Client, *, timeout_seconds: float, on_progress: Say) -> None:
    """
    Return once Kibana is available; say each few seconds what it is waiting for.

    Raises:
        OperatorError: If it is not ready after *timeout_seconds*, is no Kibana, is too old, does not let us in, or
            has no such space.
    """
    wait_while(
        lambda: _what_is_missing(client),
        client.kibana.base_url,
        timeout_seconds=timeout_seconds,
        on_progress=on_progress,
        advice="is the address right, and does it run?",
    )
    _check_space(client)


def _what_is_missing(client: Client) -> str | None:
    """Return why Kibana cannot be asked for anything yet, or None if it can."""
    try:
        answer = client.ask_about_itself(_STATUS, "asking for its status")
    except UnreachableError as error:
        return f"no connection ({error.reason})"
    level = _overall_level(answer)
    if answer.status in _STILL_STARTING:
        return f"it answers {answer.status}" + (f", its status is {level}" if level else "")
    if not answer.ok or level is None:
        raise OperatorError(
            f"{client.kibana.base_url} is no Kibana: it answered /api/status with {answer.status} and no status; "
            "is its base path missing in the address?"
        )
    _check_version(client, answer.json)
    return None if level in _USABLE else f"its status is {level}"


def _overall_level(answer: Answer) -> str | None:
    try:
        return str(answer.json["status"]["overall"]["level"])
    except (KeyError, TypeError):
        return None


def _check_version(client: Client, status: dict[str, Any]) -> None:
    """Refuse a Kibana older than the dashboards API; one that does not tell its version to us may be new enough."""
    number = str((status.get("version") or {}).get("number", ""))
    parts = number.split(".")
    if len(parts) >= 2 and all(part.isdecimal() for part in parts[:2]) and (int(parts[0]), int(parts[1])) < _OLDEST:
        raise OperatorError(
            f"{client.kibana.base_url} is Kibana {number}; expected {_OLDEST[0]}.{_OLDEST[1]} or newer, "
            "which take dashboards as files"
        )


def _check_space(client: Client) -> None:
    """Refuse a space that is not there: Kibana would keep objects for it that nobody could ever see."""
    space = client.kibana.space
    if space == DEFAULT_SPACE:
        return
    answer = client.ask_about_itself(
        Request(method="GET", path=f"/api/spaces/space/{space}"), f"looking for the space {space}"
    )
    if answer.status == 404:
        raise OperatorError(f"{client.kibana.base_url} has no space {space!r}; create it, then provision again")
    if not answer.ok:
        raise OperatorError(
            f"looking for the space {space}: {client.kibana.base_url} answered {answer.status}: {answer.message}"
        )
