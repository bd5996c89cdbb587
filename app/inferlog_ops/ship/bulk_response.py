"""The result of each document in a bulk response. Pure: no clock, no files, no network."""

from dataclasses import dataclass
from enum import Enum
from typing import Any


class RefusedRequestError(Exception):
    """Elasticsearch returned an error or an unexpected response; *status* is the HTTP status."""

    def __init__(self, status: int, reason: str, error_type: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.error_type = error_type


@dataclass(frozen=True, slots=True)
class StoreResponse:
    """
    An HTTP response of Elasticsearch.

    Attributes:
        status: The HTTP status.
        content: The parsed JSON; None if the body is not valid JSON.
        text: The beginning of the body.
        advice: How to fix the cause, appended to the reason in Elasticsearch's words; may be empty.
    """

    status: int
    content: Any
    text: str
    advice: str = ""

    def as_error(self) -> RefusedRequestError:
        """Return this response as an error, with the reason in Elasticsearch's words."""
        error = self.content.get("error") if isinstance(self.content, dict) else None
        if isinstance(error, dict):
            reason, error_type = f"{error.get('type')}: {error.get('reason')}", str(error.get("type"))
        else:
            reason, error_type = self.text.strip() or "(empty body)", ""
        return RefusedRequestError(self.status, f"answered {self.status}: {reason}{self.advice}", error_type)


class Disposition(Enum):
    """What the shipper does with a line after an attempt."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    """The document is at fault: write it to the dead letter file."""
    SUSPECTED = "suspected"
    """Either the document or the configuration of the stream is at fault: the results of other documents decide."""
    TOO_LARGE = "too large"
    """The request, or this document in it, is too large."""
    POSTPONED = "postponed"
    """The document is not at fault: send it again, without a limit."""


@dataclass(frozen=True, slots=True)
class ItemResult:
    """
    The result of one document.

    Attributes:
        disposition: What to do with the line.
        reason: In Elasticsearch's words; empty for a stored document.
        maybe_stored: Whether Elasticsearch may have stored the document despite the error.
    """

    disposition: Disposition
    reason: str = ""
    maybe_stored: bool = False

    @property
    def is_done(self) -> bool:
        """Whether Elasticsearch has the document."""
        return self.disposition is Disposition.STORED or self.disposition is Disposition.DUPLICATE

    def resolve(self, *, is_document_at_fault: bool, is_alone: bool) -> "ItemResult":
        """
        Return the final result: a suspected or too large document becomes refused once the fault is certain.

        Args:
            is_document_at_fault: Whether the stream accepts other documents.
            is_alone: Whether the request contained only this document.
        """
        if (self.disposition is Disposition.SUSPECTED and is_document_at_fault) or (
            self.disposition is Disposition.TOO_LARGE and is_alone
        ):
            return ItemResult(Disposition.REFUSED, self.reason)
        return self


STORED = ItemResult(Disposition.STORED)
DUPLICATE = ItemResult(Disposition.DUPLICATE)

# With one of these statuses nothing was written.
_NOTHING_WRITTEN = frozenset({400, 401, 403, 404, 413, 429})

# Errors of the document itself. All other errors with a 400 may have another cause.
_DOCUMENT_ERRORS = frozenset({"strict_dynamic_mapping_exception", "stream_constraints_exception"})
_DOCUMENT_ERROR_SUFFIXES = ("_parsing_exception", "_parse_exception")

# Errors with a 400 that are caused by the index or the cluster.
_CLUSTER_ERRORS = frozenset(
    {
        "index_closed_exception",
        "index_not_found_exception",
        "invalid_alias_name_exception",
        "invalid_index_name_exception",
        "resource_already_exists_exception",
        "security_exception",
        "validation_exception",  # the cluster has reached its limit of shards
    }
)

_ADVICE_BY_ERROR_TYPE = {
    "index_not_found_exception": "create the stream with: inferlog provision",
    "resource_not_found_exception": "create the stream with: inferlog provision",
    "security_exception": "check the API key and its privileges",
}


def parse_bulk_response(response: StoreResponse, documents: int) -> list[ItemResult] | ItemResult:
    """
    Return the result of each of *documents* in the order of the request, or one result for the whole request.

    An incomplete or unexpected response is one result for the whole request, and may have stored documents.
    """
    if response.status != 200:
        return _parse_error(response)
    items = response.content.get("items") if isinstance(response.content, dict) else None
    if not isinstance(items, list) or len(items) != documents:
        return _reject_unexpected(response)
    try:
        return [_parse_item(item["create"]) for item in items]
    except (KeyError, TypeError):
        return _reject_unexpected(response)


def _parse_error(response: StoreResponse) -> ItemResult:
    error = response.as_error()
    if error.status == 413:
        return ItemResult(Disposition.TOO_LARGE, str(error))
    if error.status == 400 and error.error_type not in _CLUSTER_ERRORS:
        return ItemResult(Disposition.SUSPECTED, str(error))
    reason = str(error) if response.advice else f"{error}{_format_advice(error.error_type)}"
    return ItemResult(Disposition.POSTPONED, reason, maybe_stored=error.status not in _NOTHING_WRITTEN)


def _reject_unexpected(response: StoreResponse) -> ItemResult:
    return ItemResult(
        Disposition.POSTPONED, f"answered with an invalid bulk response: {response.text}", maybe_stored=True
    )


def _parse_item(item: dict[str, Any]) -> ItemResult:
    status = item["status"]
    if status in (200, 201):
        if item.get("failure_store") == "used":
            return ItemResult(Disposition.REFUSED, "Elasticsearch put it into the failure store")
        return STORED
    if status == 409:
        return DUPLICATE
    error = item["error"]
    error_type = error["type"]
    reason = f"answered {status}: {error_type}: {error['reason']}{_format_cause(error)}{_format_advice(error_type)}"
    if status == 413:
        return ItemResult(Disposition.TOO_LARGE, reason)
    if status != 400:
        return ItemResult(Disposition.POSTPONED, reason, maybe_stored=status not in _NOTHING_WRITTEN)
    return ItemResult(_classify_400(error_type), reason)


def _format_advice(error_type: str) -> str:
    return f"; {_ADVICE_BY_ERROR_TYPE[error_type]}" if error_type in _ADVICE_BY_ERROR_TYPE else ""


def _format_cause(error: dict[str, Any]) -> str:
    while "caused_by" in error:
        error = error["caused_by"]
        if "caused_by" not in error:
            return f" ({error['reason']})"
    return ""


def _classify_400(error_type: str) -> Disposition:
    if error_type in _DOCUMENT_ERRORS or error_type.endswith(_DOCUMENT_ERROR_SUFFIXES):
        return Disposition.REFUSED
    return Disposition.POSTPONED if error_type in _CLUSTER_ERRORS else Disposition.SUSPECTED
