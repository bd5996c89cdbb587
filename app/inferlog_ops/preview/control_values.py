"""Options of a control: the values of the events in the range."""

import re
from typing import Any, Final

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, require_stream, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import (
    ALERTS,
    STREAMS,
    SUMMARIES,
    build_alerts_stream_name,
    build_stream_name,
    build_summaries_stream_name,
)
from inferlog_ops.preview.answers import TIMEOUT_SECONDS
from inferlog_ops.preview.controls import Control
from inferlog_ops.query.library import NO_VALUE

MAX_VALUES: Final = 200
"""Maximum number of options at once; a search finds the others."""

_OF_A_STREAM: Final = re.compile(r"inferlog-([a-z]+)")


def find_values(cluster: Cluster, control: Control, within: list[dict[str, Any]], search: str) -> dict[str, Any]:
    """
    Return the values of the events that match the filters *within*, each with its number of events.

    Args:
        cluster: Cluster to query.
        control: Control whose options are listed.
        within: Query DSL filters: the range, the other controls.
        search: Text that the values must contain, ignoring case; empty for all values.

    Raises:
        OperatorError: If the control's data view is not one of inferlog's, or the cluster rejects the search.
    """
    index = _name_index(control, cluster.namespace)
    if index is None or control.field is None:
        raise OperatorError(
            f"the data view of the control {control.title} is not supported; expected one of inferlog's", exit_code=2
        )
    with (
        cluster.build_client(request_timeout_seconds=TIMEOUT_SECONDS) as client,
        translate_errors(cluster, f"looking for the values of {control.title}"),
        require_stream(cluster, index),
    ):
        return _search_values(client, control, index, within, search)


def _name_index(control: Control, namespace: str) -> str | None:
    """Return the stream of the control's data view; None if it is not one of inferlog's."""
    if control.data_view == ALERTS:
        return build_alerts_stream_name(namespace)
    if control.data_view == SUMMARIES:
        return build_summaries_stream_name(namespace)
    match = _OF_A_STREAM.fullmatch(control.data_view)
    return build_stream_name(match[1], namespace) if match and match[1] in STREAMS else None


def _search_values(
    client: Elasticsearch, control: Control, index: str, within: list[dict[str, Any]], search: str
) -> dict[str, Any]:
    order = {"_key" if control.by_name else "_count": "desc" if control.descending else "asc"}
    terms: dict[str, Any] = {"field": control.field, "size": MAX_VALUES, "order": order}
    if search:
        terms["include"] = _build_pattern(search, control.search)
    answer = client.search(
        index=index,
        size=0,
        query={"bool": {"filter": within}},
        aggs={"values": {"terms": terms}, "lacking": {"missing": {"field": control.field}}},
    )
    found, lacking = answer["aggregations"]["values"], answer["aggregations"]["lacking"]["doc_count"]
    values = [{"value": str(each["key"]), "events": each["doc_count"]} for each in found["buckets"]]
    if lacking and search.lower() in NO_VALUE and all(each["value"] != NO_VALUE for each in values):
        values.append({"value": NO_VALUE, "events": lacking})
    return {"values": values, "more": found["sum_other_doc_count"] > 0}


def _build_pattern(search: str, technique: str) -> str:
    """Return the Lucene regular expression of the values that match *search*."""
    letters = "".join(map(_match_either_case, search))
    before, after = {"prefix": ("", ".*"), "exact": ("", "")}.get(technique, (".*", ".*"))
    return f"{before}{letters}{after}"


def _match_either_case(character: str) -> str:
    small, capital = character.lower(), character.upper()
    if small != capital and len(small) == len(capital) == 1:
        return f"[{small}{capital}]"
    return character if character.isalnum() else f"\\{character}"
