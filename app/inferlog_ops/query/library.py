"""The query files in dashboards/queries: one question each, in ES|QL, a file's name without its ending."""

import re
from dataclasses import dataclass

from inferlog_ops.core.assets import asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.naming import lookup
from inferlog_ops.core.streams import checked_namespace

FOLDER = "dashboards/queries"

_NO_MODEL_VERSION = "Takes no model version:"
_TOP_VERSIONS = re.compile(r"Many model versions: inferlog shows the (\d+) with the most requests")
_STREAM_PATTERN = re.compile(r"\b(logs-inference\.[a-z]+|inferlog-alerts)-\*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """
    One question.

    Attributes:
        name: The file's name without its ending.
        question: Its first line, which is a comment.
        text: The whole file: ES|QL with the parameters ``?_tstart`` and ``?_tend``.
        takes_model_version: Whether the answer for one model version alone is right. A file for which it is
            not says so in a comment that begins with "Takes no model version:".
        top_versions: So many model versions, those with the most requests, have rows of their own where a person
            reads the answer; the file says so in a comment that begins with "Many model versions:". None if the
            query has no row for each version.
    """

    name: str
    question: str
    text: str
    takes_model_version: bool
    top_versions: int | None = None


def load_all() -> dict[str, Query]:
    """
    Return all queries by name, in alphabetical order.

    Raises:
        OperatorError: If a file does not begin with its question, or if there is none at all.
    """
    files = sorted(asset_dir(FOLDER).glob("*.esql"))
    if not files:
        raise OperatorError(f"{FOLDER} holds no query; install inferlog again")
    return {path.stem: _read(path.stem, path.read_text(encoding="utf-8")) for path in files}


def find(name: str) -> Query:
    """
    Return the query *name*.

    Raises:
        OperatorError: If there is none of that name; says which is nearest.
    """
    return lookup(name, load_all(), kind="query", otherwise="inferlog query lists them all")


def text_for(query: Query, namespace: str) -> str:
    """
    Return the text of *query* about one namespace, which takes the place of the ``*`` in the streams' names.

    Raises:
        OperatorError: If *namespace* could not be a part of a stream's name.
    """
    return _STREAM_PATTERN.sub(rf"\1-{checked_namespace(namespace)}", query.text)


def streams_of(query: Query, namespace: str) -> list[str]:
    """
    Return the names of the data streams that *query* reads.

    Raises:
        OperatorError: If *namespace* could not be a part of a stream's name.
    """
    suffix = checked_namespace(namespace)
    return sorted({f"{stream}-{suffix}" for stream in _STREAM_PATTERN.findall(query.text)})


def _read(name: str, text: str) -> Query:
    comments = [line.removeprefix("//").strip() for line in text.splitlines() if line.startswith("//")]
    if not text.startswith("//") or not comments[0].endswith("?"):
        raise OperatorError(f"{FOLDER}/{name}.esql does not begin with a comment that is its question")
    top_versions = _TOP_VERSIONS.search(text)
    return Query(
        name=name,
        question=comments[0],
        text=text,
        takes_model_version=not any(comment.startswith(_NO_MODEL_VERSION) for comment in comments),
        top_versions=int(top_versions[1]) if top_versions else None,
    )
