"""What the store's answer means for each document. Pure."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from inferlog_ops.ship.store import Answer, refusal


class Disposition(Enum):
    """What becomes of a line after a try."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    """The document itself is at fault: a dead letter."""
    SUSPECTED = "suspected"
    """Either the document is at fault, or the stream's configuration: it shows in what becomes of other documents."""
    TOO_LARGE = "too large"
    """The request, or this document in it."""
    POSTPONED = "postponed"
    """Not the document's fault: sent again, for ever."""


@dataclass(frozen=True, slots=True)
class ItemResult:
    """
    One document's fate.

    Attributes:
        fate: What becomes of it.
        reason: In the store's words; empty for what is done.
        unclear: Whether the store may have taken the document all the same.
    """

    fate: Disposition
    reason: str = ""
    unclear: bool = False

    @property
    def is_done(self) -> bool:
        """Whether the store has the document."""
        return self.fate is Disposition.STORED or self.fate is Disposition.DUPLICATE

    def refused_if(self, *, guilty: bool, alone: bool) -> "ItemResult":
        """
        Return what this one comes to.

        Args:
            guilty: Whether the stream takes other documents.
            alone: Whether nothing else was in the request.
        """
        if (self.fate is Disposition.SUSPECTED and guilty) or (self.fate is Disposition.TOO_LARGE and alone):
            return ItemResult(Disposition.REFUSED, self.reason)
        return self


STORED = ItemResult(Disposition.STORED)
DUPLICATE = ItemResult(Disposition.DUPLICATE)

# Nothing was written when the store said one of these.
_CLEAR_REFUSALS = frozenset({400, 401, 403, 404, 413, 429})

# Reasons that lie in the document, whatever becomes of others. All others that come with a 400 need not.
_DOCUMENT_ERRORS = frozenset({"strict_dynamic_mapping_exception", "stream_constraints_exception"})
_DOCUMENT_ERROR_ENDINGS = ("_parsing_exception", "_parse_exception")

# Come with a 400, too, and lie in the index or the cluster.
_STORE_ERRORS = frozenset(
    {
        "index_closed_exception",
        "index_not_found_exception",
        "invalid_alias_name_exception",
        "invalid_index_name_exception",
        "resource_already_exists_exception",
        "security_exception",
        "validation_exception",  # the cluster has as many shards as it may
    }
)

# What a person can do about it, by the store's type of error.
_ADVICE = {
    "index_not_found_exception": "make the stream with: inferlog provision",
    "resource_not_found_exception": "make the stream with: inferlog provision",
    "security_exception": "check the API key and its privileges",
}


def verdicts(answer: Answer, documents: int) -> list[ItemResult] | ItemResult:
    """
    Return the verdict on each of *documents* in the order in which they were sent, or one on the whole request.

    Whatever is not a complete answer to a bulk request is a verdict on the whole request, and an unclear one.
    """
    if answer.status != 200:
        return _on_request(answer)
    items = answer.content.get("items") if isinstance(answer.content, dict) else None
    if not isinstance(items, list) or len(items) != documents:
        return _no_bulk_answer(answer)
    try:
        return [_on_item(item["create"]) for item in items]
    except (KeyError, TypeError):
        return _no_bulk_answer(answer)


def _on_request(answer: Answer) -> ItemResult:
    refused = refusal(answer)
    if refused.status == 413:
        return ItemResult(Disposition.TOO_LARGE, str(refused))
    if refused.status == 400 and refused.error_type not in _STORE_ERRORS:
        return ItemResult(Disposition.SUSPECTED, str(refused))
    reason = str(refused) if answer.advice else f"{refused}{_advice(refused.error_type)}"
    return ItemResult(Disposition.POSTPONED, reason, unclear=refused.status not in _CLEAR_REFUSALS)


def _no_bulk_answer(answer: Answer) -> ItemResult:
    return ItemResult(
        Disposition.POSTPONED, f"answered what is no answer to a bulk request: {answer.text}", unclear=True
    )


def _on_item(item: dict[str, Any]) -> ItemResult:
    status = item["status"]
    if status in (200, 201):
        if item.get("failure_store") == "used":
            return ItemResult(Disposition.REFUSED, "the store put it into its failure store")
        return STORED
    if status == 409:
        return DUPLICATE
    error = item["error"]
    reason = f"answered {status}: {error['type']}: {error['reason']}{_cause(error)}{_advice(error['type'])}"
    if status == 413:
        return ItemResult(Disposition.TOO_LARGE, reason)
    if status != 400:
        return ItemResult(Disposition.POSTPONED, reason, unclear=status not in _CLEAR_REFUSALS)
    return ItemResult(_fate_of_400(error["type"]), reason)


def _advice(error_type: str) -> str:
    return f"; {_ADVICE[error_type]}" if error_type in _ADVICE else ""


def _cause(error: dict[str, Any]) -> str:
    while "caused_by" in error:
        error = error["caused_by"]
        if "caused_by" not in error:
            return f" ({error['reason']})"
    return ""


def _fate_of_400(error_type: str) -> Disposition:
    if error_type in _DOCUMENT_ERRORS or error_type.endswith(_DOCUMENT_ERROR_ENDINGS):
        return Disposition.REFUSED
    return Disposition.POSTPONED if error_type in _STORE_ERRORS else Disposition.SUSPECTED
