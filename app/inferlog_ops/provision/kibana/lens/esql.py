"""Layers of ES|QL charts: the text of a query file, for queries without form-based Lens operations."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.kibana.lens.appearance import convert_format
from inferlog_ops.provision.kibana.lens.charts import build_column_id
from inferlog_ops.query.dashboards.panels import find_query
from inferlog_ops.query.library import Query, fill_namespace, list_streams, restrict_columns

_TIME_FIELD = "@timestamp"
_NUMBERS_WITHOUT_FORMAT = {"http.response.status_code"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EsqlLayer:
    """
    One layer of a chart.

    Attributes:
        text: ES|QL with the parameters ``?_tstart`` and ``?_tend``.
        indices: Streams that it reads.
        columns: Columns of the chart.
    """

    text: str
    indices: str
    columns: tuple[dict[str, Any], ...]

    @property
    def view_id(self) -> str:
        """Id of the data view that exists in the panel only."""
        return hashlib.sha256(self.indices.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the state of the layer."""
        columns = list(self.columns)
        return {
            "index": self.view_id,
            "query": {"esql": self.text},
            "columns": columns,
            "allColumns": columns,
            "timeField": _TIME_FIELD,
        }

    def describe_view(self) -> dict[str, Any]:
        """Return the data view that exists in the panel only."""
        return {
            "id": self.view_id,
            "title": self.indices,
            "name": self.indices,
            "timeFieldName": _TIME_FIELD,
            "sourceFilters": [],
            "fieldFormats": {},
            "runtimeFieldMap": {},
            "fieldAttrs": {},
            "allowNoIndex": False,
            "type": "esql",
        }


class EsqlLayers:
    """Maker of layers with the texts of *queries* for *namespace*."""

    def __init__(self, queries: Mapping[str, Query], namespace: str) -> None:
        self._queries = queries
        self._namespace = namespace

    def begin(self, holder: Mapping[str, Any]) -> "EsqlLayerBuilder":
        """Return the builder of the layer in *holder*."""
        panel_query = find_query(holder)
        if panel_query is None or panel_query.name not in self._queries:
            reference = holder["data_source"]["query"]
            raise OperatorError(f"a panel refers to {reference}, which does not exist; expected queries/NAME.esql")
        query = restrict_columns(self._queries[panel_query.name], panel_query.columns)
        return EsqlLayerBuilder(
            fill_namespace(query, self._namespace), ",".join(list_streams(query, self._namespace)), query.date_columns
        )


class EsqlLayerBuilder:
    """Builder of one layer; ES|QL answers need no hidden groups."""

    summed = sort = ""

    def __init__(self, text: str, indices: str, date_columns: Collection[str]) -> None:
        self._text = text
        self._indices = indices
        self._date_columns = date_columns
        self._columns: list[dict[str, Any]] = []

    def has(self, _item: Mapping[str, Any]) -> bool:
        """Return True: the answer has all columns."""
        return True

    def add(self, item: Mapping[str, Any], *, most_groups: int | None = None) -> str:  # noqa: ARG002
        """Add the column of *item*; the query limits its groups."""
        name, kind = build_column_id(item["column"]), self._find_kind(item)
        column: dict[str, Any] = {"columnId": name, "fieldName": item["column"], "meta": {"type": kind}}
        if "label" in item:
            column |= {"label": item["label"], "customLabel": True}
        if number_format := convert_format(item.get("format")):
            column["params"] = {"format": number_format}
        self._columns.append(column)
        return name

    def list_hidden(self) -> list[str]:
        """Return no ids: a table shows all columns of the answer that its file names."""
        return []

    def build(self) -> EsqlLayer:
        """Return the layer with the columns so far."""
        return EsqlLayer(text=self._text, indices=self._indices, columns=tuple(self._columns))

    def _find_kind(self, item: Mapping[str, Any]) -> str:
        if "format" in item or item["column"] in _NUMBERS_WITHOUT_FORMAT:
            return "number"
        return "date" if item["column"] in self._date_columns else "string"
