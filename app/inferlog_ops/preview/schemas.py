"""Response schemas of the page's server for /openapi.json."""

from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from inferlog_ops.query.notes import NoteKind

_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AnswerNote(_Schema):
    """A note on an answer, with its count: missing rows, requests of other versions, future events."""

    kind: NoteKind
    count: Annotated[int, Field(ge=1)]
    text: str


class ClusterStatus(_Schema):
    """The cluster and its status."""

    cluster: str
    namespace: str
    problem: str | None
    newest_event: AwareDatetime | None
    future_events: AnswerNote | None


class ListedDashboard(_Schema):
    """A dashboard in the list of dashboards."""

    id: str
    title: str
    description: str


class DashboardLayout(BaseModel):
    """A dashboard without its figures; further keys as in its file."""

    id: str
    title: str
    controls: list[dict[str, Any]]
    items: list[dict[str, Any]]


class AnswerColumn(_Schema):
    """A column of an answer."""

    name: str
    type: str


class Table(_Schema):
    """Answer to one query: rows with a value for each column."""

    columns: list[AnswerColumn]
    rows: list[list[Any]]
    notes: list[AnswerNote]


class PanelAnswers(_Schema):
    """One table per query of the panel, in order, and one for its trend."""

    answers: list[Table]
    trend: Table | None


class OfferedValue(_Schema):
    """An option of a control, with its number of events."""

    value: str
    events: Annotated[int, Field(ge=0)]


class Values(_Schema):
    """Options of a control; `more` if there are further ones."""

    values: list[OfferedValue]
    more: bool


class Problem(_Schema):
    """An error: a sentence, or the error of each parameter."""

    detail: str | list[dict[str, Any]]


COMMON_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    403: {"description": "Request from another site", **_TEXT},
    405: {"description": "Method other than GET", **_TEXT},
    421: {"description": "Host other than 127.0.0.1 or localhost", **_TEXT},
}
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "No such dashboard, panel or control"},
    422: {"model": Problem, "description": "Invalid parameters"},
    502: {"model": Problem, "description": "Elasticsearch does not answer, or a dashboard file is not valid"},
}
