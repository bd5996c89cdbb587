"""HTTP client for Elasticsearch: bulk requests, existing ids, refreshes and the cluster uuid."""

import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import orjson
import urllib3

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.ship.bulk_response import RefusedRequestError, StoreResponse
from inferlog_ops.ship.settings import ShipSettings

# The status of each item is required, since a document in a failure store does not count as an error. Other fields of
# an item would only cost parsing.
_ITEM_FIELDS = "errors,items.create.status,items.create.error,items.create.failure_store"
# By default Elasticsearch waits a minute for an unavailable shard, and blocks the sender.
_BULK_QUERY = f"require_data_stream=true&timeout=10s&filter_path={_ITEM_FIELDS}"
_SEARCH_QUERY = "ignore_unavailable=true&allow_partial_search_results=false"
# The smallest part of the cluster state, from the node that receives the request.
_CLUSTER_UUID_PATH = "/_cluster/state/version?local=true&filter_path=cluster_uuid"
_NO_UUID_YET = "_na_"
_CONNECTION_OBJECT = re.compile(r"^HTTPS?Connection(Pool)?\(.*?\): (Failed to establish a new connection: )?")
_IDS_A_SEARCH = 1_000
_HITS_A_SEARCH = 10_000


class NoAnswerError(Exception):
    """No response; *may_have_arrived* is whether Elasticsearch may have executed the request."""

    def __init__(self, reason: str, *, may_have_arrived: bool) -> None:
        super().__init__(reason)
        self.may_have_arrived = may_have_arrived


class BulkClient:
    """
    Client for one namespace of one cluster. Thread-safe, with one connection per thread.

    Attributes:
        shown_url: URL without the password, for messages.
    """

    def __init__(self, cluster: Cluster, settings: ShipSettings) -> None:
        self.shown_url = cluster.shown_url
        self._cluster = cluster
        self._namespace = cluster.namespace
        self._address = cluster.parse_address()
        self._pool = _build_pool(cluster, settings)
        self._api_key = cluster.read_api_key()
        self._shards_at_refresh: dict[str, int] = {}
        self._lock = threading.Lock()
        build_stream_name("events", cluster.namespace)  # rejects an invalid namespace at the start

    def close(self) -> None:
        """Close unused connections."""
        self._pool.close()

    def read_cluster_uuid(self) -> str:
        """
        Return the cluster's uuid, which lasts as long as its data.

        Raises:
            NoAnswerError: If there was no response.
            RefusedRequestError: If the uuid is not available, or not yet.
        """
        response = self._send_request("GET", _CLUSTER_UUID_PATH)
        uuid = _check_success(response).get("cluster_uuid")
        if not isinstance(uuid, str) or uuid == _NO_UUID_YET:
            raise RefusedRequestError(response.status, f"answered without a cluster_uuid: {response.text}")
        return uuid

    def send_bulk(self, stream: str, body: bytes, *, refresh: bool = False) -> StoreResponse:
        """
        Send a bulk request. With *refresh* its documents are searchable when this returns.

        Raises:
            NoAnswerError: If there was no response, or only a part of one.
        """
        query = f"{_BULK_QUERY}&refresh=true" if refresh else _BULK_QUERY
        return self._send_request("POST", self._build_path(stream, f"_bulk?{query}"), body, "application/x-ndjson")

    def refresh(self, stream: str) -> None:
        """
        Make all documents of *stream* searchable. A missing stream has none.

        Raises:
            NoAnswerError: If there was no response.
            RefusedRequestError: If the refresh failed, on all shards or on some.
        """
        # Without ignore_unavailable, which would silently skip a stream that the key may not refresh.
        response = self._send_request("POST", self._build_path(stream, "_refresh?filter_path=_shards"))
        if response.status == 404:
            return
        if _check_success(response).get("_shards", {}).get("failed"):
            raise RefusedRequestError(response.status, f"refreshed only some of the shards: {response.text}")

    def find_existing_ids(self, stream: str, ids: Sequence[str], *, just_sent: bool) -> frozenset[str]:
        """
        Return which of *ids* the stream contains, if Elasticsearch itself would not reject the duplicates.

        An id is unique within one backing index. A stream with only one rejects duplicates, so no search is made and
        the result is empty.

        Args:
            stream: ``events``, ``app``, …
            ids: Ids to search for.
            just_sent: Whether this shipper has just sent some of them, so that they may not be searchable yet.

        Raises:
            NoAnswerError: If there was no response.
            RefusedRequestError: If the search failed.
        """
        shards = self._count_shards(stream)
        if shards <= 1:
            return frozenset()
        if just_sent or self._shards_at_refresh.get(stream) != shards:
            self.refresh(stream)
            with self._lock:
                self._shards_at_refresh[stream] = shards
        return self.find_searchable_ids(stream, ids)

    def find_searchable_ids(self, stream: str, ids: Sequence[str]) -> frozenset[str]:
        """
        Return which of *ids* a search in *stream* finds. Documents stored since the last refresh are not found.

        Raises:
            NoAnswerError: If there was no response.
            RefusedRequestError: If the search failed, or the stream is missing.
        """
        found: set[str] = set()
        for start in range(0, len(ids), _IDS_A_SEARCH):
            found |= self._search_ids(stream, ids[start : start + _IDS_A_SEARCH])
        return frozenset(found)

    def _count_shards(self, stream: str) -> int:
        path = f"_search?size=0&track_total_hits=false&filter_path=_shards.total&{_SEARCH_QUERY}"
        response = self._send_request("GET", self._build_path(stream, path))
        if response.status == 404:
            return 0
        try:
            return int(_check_success(response)["_shards"]["total"])
        except (KeyError, TypeError, ValueError):
            raise RefusedRequestError(
                response.status, f"answered without a number of shards: {response.text}"
            ) from None

    def _search_ids(self, stream: str, ids: Sequence[str]) -> set[str]:
        body = {"size": _HITS_A_SEARCH, "query": {"ids": {"values": ids}}, "_source": False}
        path = f"_search?track_total_hits=false&filter_path=timed_out,_shards.total,hits.hits._id&{_SEARCH_QUERY}"
        response = self._send_request("POST", self._build_path(stream, path), orjson.dumps(body), "application/json")
        content = _check_success(response)
        if content.get("timed_out") is not False:
            raise RefusedRequestError(response.status, f"timed out in the search for ids: {response.text}")
        if content["_shards"]["total"] == 0:
            raise RefusedRequestError(
                response.status,
                f"lacks the stream {build_stream_name(stream, self._namespace)}; "
                f"create it with: inferlog provision --namespace {self._namespace}",
            )
        return {hit["_id"] for hit in content.get("hits", {}).get("hits", [])}

    def _build_path(self, stream: str, action: str) -> str:
        return f"/{build_stream_name(stream, self._namespace)}/{action}"

    def _send_request(
        self, method: str, path: str, body: bytes | None = None, content_type: str | None = None
    ) -> StoreResponse:
        api_key = self._api_key
        response = self._send(method, path, body, self._build_headers(api_key, content_type))
        if response.status == 401 and (current := self._reread_api_key()) != api_key:
            response = self._send(method, path, body, self._build_headers(current, content_type))
        return replace(response, advice=self._cluster.advice_after_401) if response.status == 401 else response

    def _reread_api_key(self) -> str | None:
        """Return the current API key of the file; the last one if the file is unreadable."""
        with suppress(OperatorError):
            self._api_key = self._cluster.read_api_key()
        return self._api_key

    def _build_headers(self, api_key: str | None, content_type: str | None) -> dict[str, str]:
        headers = {"accept": "application/json", "user-agent": "inferlog-ship"}
        if api_key:
            headers["authorization"] = f"ApiKey {api_key}"
        elif self._address.auth:
            headers |= urllib3.util.make_headers(basic_auth=unquote(self._address.auth))
        return headers | ({"content-type": content_type} if content_type else {})

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> StoreResponse:
        url = (self._address.path or "").rstrip("/") + path
        try:
            response = self._pool.request(method, url, body=body, headers=headers, retries=False, redirect=False)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            raise NoAnswerError(f"from {self.shown_url}: {_describe_error(error)}", may_have_arrived=False) from error
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswerError(f"from {self.shown_url}: {_describe_error(error)}", may_have_arrived=True) from error
        return _parse_response(response.status, response.data)


def _parse_response(status: int, data: bytes) -> StoreResponse:
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError:
        content = None
    return StoreResponse(status, content, data[:200].decode(errors="replace"))


def _check_success(response: StoreResponse) -> dict[str, Any]:
    if response.status != 200 or not isinstance(response.content, dict):
        raise response.as_error()
    return response.content


def _describe_error(error: urllib3.exceptions.HTTPError) -> str:
    """Return the message without the connection object that urllib3 prepends."""
    inner = error.args[1] if isinstance(error, urllib3.exceptions.ProtocolError) and len(error.args) > 1 else error
    return _CONNECTION_OBJECT.sub("", str(inner)) or type(error).__name__


def _build_pool(cluster: Cluster, settings: ShipSettings) -> urllib3.HTTPConnectionPool:
    address = cluster.parse_address()
    options: dict[str, Any] = {
        "maxsize": settings.senders,
        "timeout": urllib3.Timeout(connect=settings.connect_timeout_seconds, read=settings.answer_timeout_seconds),
    }
    if address.scheme == "http":
        return urllib3.HTTPConnectionPool(address.host or "", address.port, **options)
    return urllib3.HTTPSConnectionPool(
        address.host or "", address.port, cert_reqs="CERT_REQUIRED", ca_certs=cluster.ca_file, **options
    )
