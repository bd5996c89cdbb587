"""Query files of dashboards/queries: one ES|QL query per file, named after the file."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.errors import OperatorError, lookup
from inferlog_ops.core.streams import check_namespace
from inferlog_ops.query.esql import keep_columns

FOLDER = "dashboards/queries"
NO_VALUE = "(none)"
"""Group of the events without a value in the rows of the queries."""

_NO_MODEL_VERSION = "Takes no model version:"
_TOP_VERSIONS = re.compile(r"Many model versions: inferlog shows the (\d+) with the most requests")
_COLUMN = re.compile(r"^//   (\S+) ", re.MULTILINE)
_DATE_COLUMN = re.compile(r"^//   (\S+) .*\bUTC\b", re.MULTILINE)
_STREAM_PATTERN = re.compile(r"\b(logs-inference\.(?:[a-z]+|\*)|inferlog-alerts|inferlog-summaries)-\*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """
    One saved query.

    Attributes:
        name: File name without suffix.
        question: First line of the file, a comment.
        text: The whole file: ES|QL with the parameters ``?_tstart`` and ``?_tend``.
        takes_model_version: Whether the query is correct for one model version alone. Other files have a
            comment that starts with "Takes no model version:".
        columns: Names of the columns of its rows, in their order; from the comment that starts with "Columns:".
        top_versions: Default number of model versions with rows of their own, by request count; from the
            comment that starts with "Many model versions:". None if the query has no row per version.
        date_columns: Columns whose unit in the comment is UTC.
    """

    name: str
    question: str
    text: str
    takes_model_version: bool
    columns: tuple[str, ...] = ()
    top_versions: int | None = None
    date_columns: frozenset[str] = frozenset()


def load_all() -> dict[str, Query]:
    """
    Return all queries by name, in alphabetical order.

    Raises:
        OperatorError: If a file does not start with its question, or if there are no files.
    """
    files = sorted(find_asset_dir(FOLDER).glob("*.esql"))
    if not files:
        raise OperatorError(f"{FOLDER} contains no query; reinstall inferlog")
    return {path.stem: _read(path.stem, path.read_text(encoding="utf-8")) for path in files}


def find(name: str) -> Query:
    """
    Return the query *name*.

    Raises:
        OperatorError: If there is no query of that name, with the nearest name.
    """
    return lookup(name, load_all(), kind="query", otherwise="inferlog query lists all of them")


def restrict_columns(query: Query, columns: Collection[str]) -> Query:
    """
    Return *query* with only *columns* in its rows.

    Elasticsearch skips aggregations that nothing uses: without its p50 and p95, a p99 takes a third of the time.
    The query stays as it is without *columns*, and if it lacks one of them: the caller can then list the existing ones.
    """
    if not columns or not set(columns) < set(query.columns):
        return query
    kept = tuple(name for name in query.columns if name in columns)
    return replace(query, text=keep_columns(query.text, kept), columns=kept)


def fill_namespace(query: Query, namespace: str) -> str:
    """
    Return the text of *query* with *namespace* in place of the ``*`` in the stream names.

    Raises:
        OperatorError: If *namespace* is not valid in a stream name.
    """
    return _STREAM_PATTERN.sub(rf"\1-{check_namespace(namespace)}", query.text)


def list_streams(query: Query, namespace: str) -> list[str]:
    """
    Return the names of the data streams that *query* reads, without failure stores.

    Raises:
        OperatorError: If *namespace* is not valid in a stream name.
    """
    suffix = check_namespace(namespace)
    streams = _STREAM_PATTERN.findall(query.text)
    return sorted({f"{stream}-{suffix}" for stream in streams if not stream.endswith("*")})


def _read(name: str, text: str) -> Query:
    comments = [line.removeprefix("//").strip() for line in text.splitlines() if line.startswith("//")]
    if not text.startswith("//") or not comments[0].endswith("?"):
        raise OperatorError(f"{FOLDER}/{name}.esql does not start with a comment that is its question")
    top_versions = _TOP_VERSIONS.search(text)
    return Query(
        name=name,
        question=comments[0],
        text=text,
        takes_model_version=not any(comment.startswith(_NO_MODEL_VERSION) for comment in comments),
        columns=tuple(_COLUMN.findall(text)),
        top_versions=int(top_versions[1]) if top_versions else None,
        date_columns=frozenset(_DATE_COLUMN.findall(text)),
    )
