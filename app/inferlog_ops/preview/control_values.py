"""The values that a control offers: those that the events in sight have."""

import re
from typing import Any, Final

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import ALERTS, STREAMS, alerts_stream_name, stream_name
from inferlog_ops.preview.answers import TIMEOUT_SECONDS
from inferlog_ops.preview.controls import NO_VALUE, Control

MOST: Final = 200
"""How many values are offered at once; a search finds the others."""

_OF_A_STREAM: Final = re.compile(r"inferlog-([a-z]+)")


def offered_values(cluster: Cluster, control: Control, within: list[dict[str, Any]], search: str) -> dict[str, Any]:
    """
    Return the values of the events that pass the filters *within*, each with its number of events.

    Args:
        cluster: Whom to ask.
        control: What is asked about.
        within: Filters in query DSL: the range, the other controls.
        search: Only values that this is found in, in capitals or small letters; empty = all.

    Raises:
        OperatorError: If the control's values are not where this page can look, or the cluster refuses.
    """
    index = _index(control, cluster.namespace)
    if index is None or control.field is None:
        raise OperatorError(
            f"the control {control.title} takes its values from where this page does not look", exit_code=2
        )
    with (
        cluster.client(request_timeout_seconds=TIMEOUT_SECONDS) as client,
        translate_errors(cluster, f"looking for the values of {control.title}"),
    ):
        return _found(client, control, index, within, search)


def _index(control: Control, namespace: str) -> str | None:
    """Return what the control's data view stands for; None if it is none of ours."""
    if control.data_view == ALERTS:
        return alerts_stream_name(namespace)
    match = _OF_A_STREAM.fullmatch(control.data_view)
    return stream_name(match[1], namespace) if match and match[1] in STREAMS else None


def _found(
    client: Elasticsearch, control: Control, index: str, within: list[dict[str, Any]], search: str
) -> dict[str, Any]:
    order = {"_key" if control.by_name else "_count": "desc" if control.descending else "asc"}
    terms: dict[str, Any] = {"field": control.field, "size": MOST, "order": order}
    if search:
        terms["include"] = _pattern(search, control.search)
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


def _pattern(search: str, technique: str) -> str:
    """Return the regular expression, as Lucene reads them, of the values in which *search* is found."""
    letters = "".join(map(_in_either_case, search))
    before, after = {"prefix": ("", ".*"), "exact": ("", "")}.get(technique, (".*", ".*"))
    return f"{before}{letters}{after}"


def _in_either_case(character: str) -> str:
    small, capital = character.lower(), character.upper()
    if small != capital and len(small) == len(capital) == 1:
        return f"[{small}{capital}]"
    return character if character.isalnum() else f"\\{character}"
