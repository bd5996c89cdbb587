"""
The saved queries as saved Discover sessions.

Unverified: no API for these is documented but import and export of saved objects, whose content is Kibana's own
affair. The shape is the one that its source shows for saved object type "search", model version 6: the settings both
at the top, as before there were tabs, and as one tab. Each newer Kibana brings that to its own shape when it imports.
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson

from inferlog_ops.provision.kibana.ids import object_id, shown_name
from inferlog_ops.provision.kibana.mark import digest_of, with_mark
from inferlog_ops.query.library import FOLDER, Query, text_for

TYPE = "search"

_MODEL_VERSION = "10.6.0"
_CORE_VERSION = "8.8.0"
_SOURCE_COMMAND = re.compile(r"^\s*FROM\s+(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """
    One saved Discover session as it should be.

    Attributes:
        id: ``inferlog-query-<name>``.
        source: The query's file.
        digest: Of all that it is made of, without the mark.
        document: The saved object, mark included.
    """

    id: str
    source: str
    digest: str
    document: dict[str, Any]


def base_id(query: Query) -> str:
    """Return the id of the session of *query* for the namespace "default"."""
    return f"inferlog-query-{query.name}"


def wanted(query: Query, namespace: str) -> Session:
    """Return the session that asks *query* about *namespace*."""
    session_id, source = object_id(base_id(query), namespace), f"{FOLDER}/{query.name}.esql"
    title = shown_name(query.question, namespace)
    settings = _settings(text_for(query, namespace))
    attributes = {
        "title": title,
        "description": f"inferlog query {query.name}",
        **settings,
        "tabs": [{"id": query.name, "label": query.name, "attributes": settings}],
    }
    digest = digest_of(attributes)
    attributes["description"] = with_mark(f"inferlog query {query.name}", source, digest)
    return Session(
        id=session_id,
        source=source,
        digest=digest,
        document={
            "type": TYPE,
            "id": session_id,
            "attributes": attributes,
            "references": [],
            "coreMigrationVersion": _CORE_VERSION,
            "typeMigrationVersion": _MODEL_VERSION,
        },
    )


def _settings(text: str) -> dict[str, Any]:
    pattern = _SOURCE_COMMAND.search(text)
    index = pattern[1] if pattern else ""
    search_source = {
        "query": {"esql": text},
        "index": {"id": index, "title": index, "timeFieldName": "@timestamp", "type": "esql"},
        "filter": [],
    }
    return {
        "columns": [],
        "sort": [],
        "grid": {},
        "hideChart": False,
        "isTextBasedQuery": True,
        "usesAdHocDataView": False,
        "timeRestore": True,
        "timeRange": {"from": "now-15m", "to": "now"},
        "kibanaSavedObjectMeta": {"searchSourceJSON": orjson.dumps(search_source).decode()},
    }
