"""Changes that make stored summaries equal to computed ones, without ever losing requests."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from inferlog_ops.summarize.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSummary:
    """
    A summary in the index.

    Attributes:
        summary: Its content.
        document_id: Id of its document.
        index: Backing index of the document.
        seq_no: Sequence number of the document, for a replacement that fails if another run was faster.
        primary_term: Primary term of the document, likewise.
    """

    summary: Summary
    document_id: str
    index: str
    seq_no: int
    primary_term: int


@dataclass(slots=True, kw_only=True)
class Changes:
    """
    Changes of documents.

    Attributes:
        created: New summaries.
        replaced: Stored summaries, each with its new content.
        deleted: Stored summaries of vanished combinations, and surplus copies.
        unchanged: Number of stored summaries that stay.
    """

    created: list[Summary] = field(default_factory=list)
    replaced: list[tuple[StoredSummary, Summary]] = field(default_factory=list)
    deleted: list[StoredSummary] = field(default_factory=list)
    unchanged: int = 0


def plan_changes(stored: Iterable[StoredSummary], computed: Iterable[Summary]) -> Changes:
    """
    Return the changes that make *stored* equal to *computed*, start by start.

    A start with more stored than computed requests stays as it is: its events were deleted after they were summarized.
    """
    kept, surplus = drop_copies(stored)
    changes = Changes(deleted=surplus)
    old: defaultdict[datetime, dict[str, StoredSummary]] = defaultdict(dict)
    new: defaultdict[datetime, dict[str, Summary]] = defaultdict(dict)
    for each in kept:
        old[each.summary.start][each.document_id] = each
    for summary in computed:
        new[summary.start][summary.id] = summary
    for start in sorted(old.keys() | new.keys()):
        if _count(each.summary for each in old[start].values()) > _count(new[start].values()):
            changes.unchanged += len(old[start])
        else:
            _plan_start(changes, old[start], new[start])
    return changes


def drop_copies(stored: Iterable[StoredSummary]) -> tuple[list[StoredSummary], list[StoredSummary]]:
    """
    Return one summary for each document id, and the surplus copies.

    Two runs can write one id into two backing indices if the stream rolls over between them. The copy with more
    requests is kept, because an event is never taken back.
    """
    kept: dict[str, StoredSummary] = {}
    surplus = []
    for each in sorted(stored, key=lambda each: (each.summary.requests, each.index), reverse=True):
        if each.document_id in kept:
            surplus.append(each)
        else:
            kept[each.document_id] = each
    return list(kept.values()), surplus


def _plan_start(changes: Changes, old: dict[str, StoredSummary], new: dict[str, Summary]) -> None:
    for document_id, summary in new.items():
        if document_id not in old:
            changes.created.append(summary)
        elif old[document_id].summary == summary:
            changes.unchanged += 1
        else:
            changes.replaced.append((old[document_id], summary))
    changes.deleted += [stored for document_id, stored in old.items() if document_id not in new]


def _count(summaries: Iterable[Summary]) -> int:
    return sum(summary.requests for summary in summaries)
