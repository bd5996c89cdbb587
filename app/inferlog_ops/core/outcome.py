"""Result of provisioning one object."""

from dataclasses import dataclass
from enum import StrEnum


class ProvisionOutcome(StrEnum):
    """Change made to an object."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    """Used where the other objects work without this one; otherwise provisioning ends with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedObject:
    """
    An object in Elasticsearch or Kibana after provisioning.

    Attributes:
        name: Its name or id there.
        kind: "pipeline", "component template", "index template", "data stream"; "data view", "dashboard", …
        outcome: The change that was made.
        reason: Why it was refused; None otherwise.
    """

    name: str
    kind: str
    outcome: ProvisionOutcome
    reason: str | None = None
