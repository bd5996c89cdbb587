"""What the page's server answers, for /openapi.json: the shapes that `catalogue`, `answers` and the others make."""

from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from inferlog_ops.query.notes import NoteKind

_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Note(_Answer):
    """A note on an answer, and the number that it is about: missing rows, requests of other versions, later events."""

    kind: NoteKind
    count: Annotated[int, Field(ge=1)]
    text: str


class Status(_Answer):
    """Where the figures come from, and what keeps them from coming."""

    cluster: str
    namespace: str
    problem: str | None
    newest_event: AwareDatetime | None
    future_events: Note | None


class ListedDashboard(_Answer):
    """One of the dashboards."""

    id: str
    title: str
    description: str


class Dashboard(BaseModel):
    """All of a dashboard but its figures; further keys are as in its file."""

    id: str
    title: str
    controls: list[dict[str, Any]]
    items: list[dict[str, Any]]


class Column(_Answer):
    """Of a table of figures."""

    name: str
    type: str


class Table(_Answer):
    """What Elasticsearch says to one question: rows with a value for each column."""

    columns: list[Column]
    rows: list[list[Any]]
    notes: list[Note]


class PanelAnswers(_Answer):
    """A table for each of the panel's questions, in their order; one more where it draws a trend."""

    answers: list[Table]
    trend: Table | None


class OfferedValue(_Answer):
    """A value, and how many events have it."""

    value: str
    events: Annotated[int, Field(ge=0)]


class Values(_Answer):
    """What a control offers; there may be more."""

    values: list[OfferedValue]
    more: bool


class Problem(_Answer):
    """Why there is no answer: a sentence, or what is wrong with each parameter."""

    detail: str | list[dict[str, Any]]


OF_EVERY_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    403: {"description": "Another site asks", **_TEXT},
    405: {"description": "This page only reads", **_TEXT},
    421: {"description": "Asked for under another name than 127.0.0.1 or localhost", **_TEXT},
}
NOT_THERE: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "No such dashboard, panel or control"},
    422: {"model": Problem, "description": "The question makes no sense"},
    502: {"model": Problem, "description": "Elasticsearch does not answer, or a file of ours is wrong"},
}
