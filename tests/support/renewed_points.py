"""Points in time whose id changes with each search, as Elasticsearch may do with several nodes."""

from typing import Any

import pytest
from elastic_transport import ObjectApiResponse
from elasticsearch import Elasticsearch


def renew_points(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """
    Renew the id of a point in time after each search, and close the earlier one.

    Returns:
        For each search: whether it accepted partial results. Filled by later searches.
    """
    opened: dict[str, str] = {}
    accepted: list[bool] = []
    open_point, search = Elasticsearch.open_point_in_time, Elasticsearch.search

    def open_point_in_time(self: Elasticsearch, *, index: str, keep_alive: str) -> ObjectApiResponse[Any]:
        answer = open_point(self, index=index, keep_alive=keep_alive)
        opened[answer["id"]] = index
        return answer

    def search_and_renew(self: Elasticsearch, *, pit: dict[str, str], **body: Any) -> ObjectApiResponse[Any]:
        accepted.append(body.get("allow_partial_search_results", True))
        answer = search(self, pit=pit, **body)
        later = open_point_in_time(self, index=opened[pit["id"]], keep_alive=pit["keep_alive"])["id"]
        self.close_point_in_time(id=pit["id"])
        answer.body["pit_id"] = later
        return answer

    monkeypatch.setattr(Elasticsearch, "open_point_in_time", open_point_in_time)
    monkeypatch.setattr(Elasticsearch, "search", search_and_renew)
    return accepted
