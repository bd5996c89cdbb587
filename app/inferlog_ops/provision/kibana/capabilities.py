"""Abilities of the Kibana at hand. The table of versions and the sources of each entry: docs/kibana.md."""

from dataclasses import dataclass

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import Request
from inferlog_ops.provision.kibana.client import KibanaClient

_OLDEST = (8, 12)
# Kibana answers a request of a browser that has loaded another version with 400 and its own version. Unlike the
# version in /api/status, it does so without security and for every valid key.
_OTHER_VERSION = {"kbn-version": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """
    Abilities of a Kibana. The defaults hold for every supported version.

    Attributes:
        has_time_parameters: ES|QL panels know ``?_tstart`` and ``?_tend``.
        alerts_by_row: A rule makes an alert of each row of its query, instead of one alert of all rows.
        takes_artifacts: A rule can refer to dashboards.
    """

    has_time_parameters: bool = False
    alerts_by_row: bool = False
    takes_artifacts: bool = False


OF_EVERY_VERSION = Capabilities()


def detect_capabilities(client: KibanaClient) -> Capabilities:
    """
    Ask Kibana for its version and return its abilities; without an answer, those of the oldest supported version.

    Raises:
        OperatorError: If Kibana is too old.
    """
    request = Request(method="GET", path="/api/status")
    answer = client.send_outside_space(request, "asking for its version", headers=_OTHER_VERSION).json
    number = _find_version(answer)
    version = _parse_version(number)
    if version is None:
        return OF_EVERY_VERSION
    if version < _OLDEST:
        raise OperatorError(
            f"{client.kibana.base_url} is Kibana {number}; expected {_OLDEST[0]}.{_OLDEST[1]} or newer; "
            "nothing was changed"
        )
    return Capabilities(
        has_time_parameters=version >= (8, 16),
        alerts_by_row=(8, 19) <= version < (9, 0) or version >= (9, 1),
        takes_artifacts=version >= (9, 1),
    )


def _find_version(answer: object) -> str:
    """Return the version in *answer*: the refusal of the other version, or else the status."""
    match answer:
        case {"attributes": {"expected": str(number)}} | {"version": {"number": str(number)}}:
            return number
        case _:
            return ""


def _parse_version(number: str) -> tuple[int, int] | None:
    parts = number.split(".")[:2]
    if len(parts) < 2 or not all(part.isdecimal() for part in parts):
        return None
    return int(parts[0]), int(parts[1])
