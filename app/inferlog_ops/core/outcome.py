"""What provisioning did to one object."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of an object."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    """Only where the rest is of use without it; where it is not, provisioning ends with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """
    One object of an Elasticsearch or a Kibana after provisioning.

    Attributes:
        name: As it is known there.
        kind: "pipeline", "component template", "index template", "data stream"; "data view", "dashboard", …
        outcome: What was done to it.
        reason: Why it was refused, if it was.
    """

    name: str
    kind: str
    outcome: Outcome
    reason: str | None = None
