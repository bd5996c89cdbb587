"""Questions of the dashboards: the queries of their panels, with the columns that each panel shows."""

from collections.abc import Iterable
from dataclasses import dataclass

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.preview.answers import find_trend_query
from inferlog_ops.query import library
from inferlog_ops.query.dashboards import files as dashboards
from inferlog_ops.query.dashboards import slo
from inferlog_ops.query.dashboards.panels import Panel, list_panels
from inferlog_ops.query.dashboards.render import fill_levels
from inferlog_ops.query.library import Query, restrict_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    Panels with the same queries and columns.

    Attributes:
        queries: Their queries, without repetitions, each with the columns that the panels show; that of the background
            of a metric last.
        places: Dashboard and id of each.
        panel: The first of them, whose requests are those of Kibana.
    """

    queries: tuple[Query, ...]
    places: list[str]
    panel: Panel

    @property
    def place(self) -> str:
        """The first of its places, which identifies it."""
        return self.places[0]

    @property
    def names(self) -> str:
        """Names of its queries, for a table."""
        return " + ".join(f"`{query.name}`" for query in self.queries)

    def describe(self) -> dict[str, object]:
        """Return it as plain data."""
        return {"questions": list(map(name_query, self.queries)), "panels": self.places}


def name_query(query: Query) -> str:
    """Return the name of *query*, with its columns if it has not all of its file."""
    whole = library.find(query.name)
    return query.name if query.columns == whole.columns else f"{query.name}({', '.join(query.columns)})"


def select_panels(only: Iterable[str] | None = None, of_dashboards: Iterable[str] | None = None) -> list[Question]:
    """
    Return the panels by their queries.

    Args:
        only: Names of queries: panels that use no others.
        of_dashboards: Ids of dashboards.

    Raises:
        OperatorError: If a dashboard is unknown, or a query of *only* is used by no panel or only together with others.
    """
    every = _group_panels([dashboards.find(dashboard_id).id for dashboard_id in of_dashboards or dashboards.load_all()])
    if only is None:
        return every
    names = [{query.name for query in question.queries} for question in every]
    asked = [question for question, of_question in zip(every, names, strict=True) if of_question <= set(only)]
    if unasked := sorted(set(only).difference(*(of_question for of_question in names if of_question <= set(only)))):
        raise OperatorError(
            f"--only {' '.join(unasked)}: no panel uses it without other queries; "
            f"expected some of {', '.join(sorted(set().union(*names)))}",
            exit_code=2,
        )
    return asked


def _group_panels(dashboard_ids: Iterable[str]) -> list[Question]:
    asked: dict[tuple[Query, ...], Question] = {}
    levels, queries_by_name = slo.load(), library.load_all()
    for dashboard_id in dashboard_ids:
        for panel in list_panels(fill_levels(dashboards.find(dashboard_id), levels)):
            shown = [restrict_columns(library.find(each.name), each.columns) for each in panel.list_queries()]
            trend = find_trend_query(panel, queries_by_name)
            queries = tuple(dict.fromkeys(query for query in (*shown, trend) if query is not None))
            if queries:
                question = asked.setdefault(queries, Question(queries=queries, places=[], panel=panel))
                question.places.append(f"{dashboard_id}/{panel.id}")
    return list(asked.values())
