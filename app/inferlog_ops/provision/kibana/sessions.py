"""Saved queries as saved Discover sessions, in the oldest form that every supported version imports."""

import re

import orjson

from inferlog_ops.provision.kibana.identity import build_object_id, qualify_title
from inferlog_ops.provision.kibana.saved_objects import SavedObject
from inferlog_ops.query.library import Query, fill_namespace

_SOURCE_COMMAND = re.compile(r"^\s*FROM\s+(\S+)", re.MULTILINE)


def build_base_id(query: Query) -> str:
    """Return the id of the session of *query* for the namespace "default"."""
    return f"inferlog-query-{query.name}"


def build_session(query: Query, namespace: str) -> SavedObject:
    text = fill_namespace(query, namespace)
    pattern = _SOURCE_COMMAND.search(text)
    index = pattern[1] if pattern else ""
    search_source = {
        "query": {"esql": text},
        "index": {"id": index, "title": index, "timeFieldName": "@timestamp", "type": "esql"},
        "filter": [],
    }
    return SavedObject(
        type="search",
        id=build_object_id(build_base_id(query), namespace),
        attributes={
            "title": qualify_title(query.question, namespace),
            "description": f"inferlog query {query.name}",
            "columns": [],
            "sort": [],
            "grid": {},
            "hideChart": False,
            "isTextBasedQuery": True,
            "usesAdHocDataView": False,
            "timeRestore": True,
            "timeRange": {"from": "now-15m", "to": "now"},
            "kibanaSavedObjectMeta": {"searchSourceJSON": orjson.dumps(search_source).decode()},
        },
        references=(),
        type_migration_version="7.9.3",
    )
