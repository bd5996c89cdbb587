"""Saved objects of Kibana, the format that `POST /api/saved_objects/_import` takes; plain data."""

from dataclasses import dataclass
from typing import Any

_CORE_MIGRATION_VERSION = "8.8.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedObject:
    """
    A saved object.

    Attributes:
        type: "dashboard", "search", …
        id: Its id in Kibana.
        attributes: Its content.
        references: Saved objects that it refers to: ``{"name": …, "type": …, "id": …}``.
        type_migration_version: Oldest version of the type that carries what we need. An older Kibana rejects the whole
            file; a newer one migrates the object upwards.
    """

    type: str
    id: str
    attributes: dict[str, Any]
    references: tuple[dict[str, str], ...]
    type_migration_version: str

    def to_json(self) -> dict[str, Any]:
        """Return the object as a line of an import file."""
        return {
            "type": self.type,
            "id": self.id,
            "attributes": self.attributes,
            "references": list(self.references),
            "coreMigrationVersion": _CORE_MIGRATION_VERSION,
            "typeMigrationVersion": self.type_migration_version,
        }
