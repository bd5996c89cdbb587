"""What provisioning did to one object."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of an object."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """
    One object of the cluster after provisioning.

    Attributes:
        name: As the cluster knows it.
        kind: "pipeline", "component template", "index template" or "data stream".
        outcome: What was done to it.
    """

    name: str
    kind: str
    outcome: Outcome
