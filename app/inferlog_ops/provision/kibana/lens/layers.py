"""Layers of form-based charts: columns of the dashboard files as Lens columns."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.kibana.lens.appearance import convert_format, drop_unit
from inferlog_ops.provision.kibana.lens.buckets import MatchingDocuments, Terms, compile_bucket
from inferlog_ops.provision.kibana.lens.charts import build_column_id
from inferlog_ops.provision.kibana.lens.expressions import Aggregate, compile_columns
from inferlog_ops.provision.kibana.lens.sources import SOURCES, AbsentColumn, Figure, Group, LensColumn
from inferlog_ops.query.dashboards.panels import Panel
from inferlog_ops.query.dashboards.render import parse_query_name

_DOCUMENTS = "documents"
_MOST_GROUPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class FormBasedLayer:
    """
    One layer of a chart.

    Attributes:
        view: Id of its data view.
        kql: Filter of its documents.
        columns: Lens columns by id, groups first.
        ignores_filters: Whether the controls do not apply.
    """

    view: str
    kql: str
    columns: dict[str, Any]
    ignores_filters: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the state of the layer."""
        return {
            "columns": self.columns,
            "columnOrder": list(self.columns),
            "incompleteColumns": {},
            "sampling": 1,
            "ignoreGlobalFilters": self.ignores_filters,
        }


class FormBasedLayerBuilder:
    """
    Builder of one layer.

    Attributes:
        summed: Id of the column whose groups are added up; empty without such a column.
        sort: Id of the column that sorts a table.
    """

    def __init__(self, panel: Panel, holder: Mapping[str, Any]) -> None:
        self._panel = panel
        self._query = parse_query_name(holder["data_source"]["query"]) or ""
        self._source = SOURCES[self._query]
        self._ignores_filters = bool(holder.get("ignore_global_filters"))
        self._groups = self._begin_groups()
        self._figures: dict[str, Any] = {}
        self.summed = ""
        self.sort = build_column_id(self._source.sort)

    def has(self, item: Mapping[str, Any]) -> bool:
        """Return whether Lens can compute the column of *item*."""
        return not isinstance(self._find(item), AbsentColumn)

    def add(self, item: Mapping[str, Any], *, most_groups: int | None = None) -> str:
        """
        Add a column and return its id.

        Args:
            item: Part of the file with "column", "label" and "format".
            most_groups: Maximum number of values of its field, if it has groups; None for the default.
        """
        column, name = self._find(item), build_column_id(item["column"])
        label, number_format = item.get("label", item["column"]), convert_format(item.get("format"))
        match column:
            case Group(bucket=bucket):
                if most_groups is not None and isinstance(bucket, Terms):
                    bucket = replace(bucket, size=most_groups)
                self._groups[name] = compile_bucket(bucket, column.label or label, number_format)
            case Figure():
                self._set_summed(column.over)
                expression = column.expression
                if isinstance(expression, Aggregate) and expression.per:
                    number_format = drop_unit(number_format, f"/{expression.per}")
                self._figures |= compile_columns(name, expression, column.label or label, number_format)
            case AbsentColumn():
                raise OperatorError(f"panel {self._panel.id}: Lens cannot compute {item['column']}: {column.reason}")
        return name

    def list_hidden(self) -> list[str]:
        """Return the ids of columns that a table does not show."""
        return [_DOCUMENTS] if _DOCUMENTS in self._groups else []

    def build(self) -> FormBasedLayer:
        """Return the layer with the columns so far."""
        return FormBasedLayer(
            view=self._source.view,
            kql=self._source.kql,
            columns={**self._groups, **self._figures},
            ignores_filters=self._ignores_filters,
        )

    def _find(self, item: Mapping[str, Any]) -> LensColumn:
        return _find_column(self._panel, self._query, item["column"])

    def _begin_groups(self) -> dict[str, Any]:
        groups: dict[str, Any] = {}
        if self._ignores_filters and self._source.kql:
            # Such a layer ignores the filter of its own panel as well.
            groups[_DOCUMENTS] = compile_bucket(MatchingDocuments(kql=self._source.kql), _DOCUMENTS)
        return groups

    def _set_summed(self, field: str) -> None:
        summed = build_column_id(field)
        if self._figures and summed != self.summed:
            raise OperatorError(
                f"panel {self._panel.id}: a layer has figures that are added up, and others that are not"
            )
        self.summed = summed
        if field:
            hidden = Terms(field=field, size=_MOST_GROUPS, complete=False)
            self._groups[summed] = compile_bucket(hidden, field)


def find_filter(panel: Panel, layers: Collection[FormBasedLayer]) -> str:
    """
    Return the filter of *panel*: Lens has one for all layers.

    Raises:
        OperatorError: If the layers need different ones.
    """
    filters = {layer.kql for layer in layers if not layer.ignores_filters}
    if len(filters) > 1:
        raise OperatorError(f"panel {panel.id}: its layers need different filters, which Lens does not have")
    return next(iter(filters), "")


def is_form_based(panel: Panel) -> bool:
    """
    Return whether Lens can express *panel*: tables without their absent columns, any other chart as a whole.

    Raises:
        OperatorError: If the entry of a query in `SOURCES` lacks a column.
    """
    shown = _list_columns(panel)
    if any(query not in SOURCES for query, _ in shown):
        return False
    columns = [_find_column(panel, query, name) for query, names in shown for name in names]
    return panel.config["type"] == "data_table" or not any(isinstance(column, AbsentColumn) for column in columns)


def _find_column(panel: Panel, query: str, column: str) -> LensColumn:
    columns = SOURCES[query].columns
    if column not in columns:
        raise OperatorError(
            f"panel {panel.id} shows the column {column} of the query {query}, which has no Lens operation: "
            "add it to SOURCES in app/inferlog_ops/provision/kibana/lens/sources.py"
        )
    return columns[column]


def _list_columns(panel: Panel) -> list[tuple[str, list[str]]]:
    """Return the queries of *panel* in the order of its layers, each with the columns that it shows."""
    holders = panel.config.get("layers") or [panel.config]
    return [(parse_query_name(holder["data_source"]["query"]) or "", _collect_columns(holder)) for holder in holders]


def _collect_columns(part: Any) -> list[str]:
    if isinstance(part, list):
        return [column for each in part for column in _collect_columns(each)]
    if not isinstance(part, dict):
        return []
    own = [part["column"]] if "column" in part else []
    return own + [column for each in part.values() for column in _collect_columns(each)]
