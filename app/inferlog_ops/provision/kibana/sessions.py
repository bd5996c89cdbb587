"""
Saved queries as saved Discover sessions.

Unverified: the only documented API is import and export of saved objects, whose content is internal to Kibana. The
format is that of saved object type "search", model version 6, in Kibana's source: the settings are both at the top
level, as before tabs existed, and in one tab. Newer versions of Kibana migrate this on import.
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson

from inferlog_ops.provision.kibana.identity import append_mark, compute_digest, object_id, qualify_title
from inferlog_ops.query.library import FOLDER, Query, text_for

TYPE = "search"

_MODEL_VERSION = "10.6.0"
_CORE_VERSION = "8.8.0"
_SOURCE_COMMAND = re.compile(r"^\s*FROM\s+(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """
    A desired saved Discover session.

    Attributes:
        id: ``inferlog-query-<name>``.
        source: File of the query.
        digest: Digest of its content, without the mark.
        document: The saved object, including the mark.
    """

    id: str
    source: str
    digest: str
    document: dict[str, Any]


def base_id(query: Query) -> str:
    """Return the id of the session of *query* for the namespace "default"."""
    return f"inferlog-query-{query.name}"


def build_desired(query: Query, namespace: str) -> Session:
    """Return the session with *query* for *namespace*."""
    session_id, source = object_id(base_id(query), namespace), f"{FOLDER}/{query.name}.esql"
    title = qualify_title(query.question, namespace)
    settings = _settings(text_for(query, namespace))
    attributes = {
        "title": title,
        "description": f"inferlog query {query.name}",
        **settings,
        "tabs": [{"id": query.name, "label": query.name, "attributes": settings}],
    }
    digest = compute_digest(attributes)
    attributes["description"] = append_mark(f"inferlog query {query.name}", source, digest)
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
