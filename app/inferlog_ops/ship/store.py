"""Speaks HTTP with Elasticsearch: one bulk request, which ids exist already, and which cluster it is."""

import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

import orjson
import urllib3

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import stream_name
from inferlog_ops.ship.settings import Settings

# Each item's status is needed, since a document that went into a failure store counts as no error; the rest of an
# item's answer would only have to be parsed.
_ITEM_FIELDS = "errors,items.create.status,items.create.error,items.create.failure_store"
# Elasticsearch itself waits a minute for a shard that is not there, and the sender with it.
_BULK_QUERY = f"require_data_stream=true&timeout=10s&filter_path={_ITEM_FIELDS}"
_SEARCH_QUERY = "ignore_unavailable=true&allow_partial_search_results=false"
# Of all that a cluster's state holds, next to nothing, and from whichever node answers.
_IDENTITY_PATH = "/_cluster/state/version?local=true&filter_path=cluster_uuid"
_NO_IDENTITY_YET = "_na_"
_OBJECT = re.compile(r"^HTTPS?Connection(Pool)?\(.*?\): (Failed to establish a new connection: )?")
_IDS_A_SEARCH = 1_000
_HITS_A_SEARCH = 10_000


class NoAnswerError(Exception):
    """The store gave no answer; *may_have_arrived* tells whether it may have done what was asked all the same."""

    def __init__(self, reason: str, *, may_have_arrived: bool) -> None:
        super().__init__(reason)
        self.may_have_arrived = may_have_arrived


class RefusedError(Exception):
    """The store answered something other than was asked for; *status* is the HTTP status."""

    def __init__(self, status: int, reason: str, error_type: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.error_type = error_type


@dataclass(frozen=True, slots=True)
class Answer:
    """
    An HTTP status and the JSON that came with it; None if it was no JSON.

    Attributes:
        status: The HTTP status.
        content: The parsed JSON.
        text: The beginning of the body.
        advice: How a person can fix the cause, to be put behind the store's own words; may be empty.
    """

    status: int
    content: Any
    text: str
    advice: str = ""


class Store:
    """
    One Elasticsearch and one namespace in it. Safe to use from several threads, each gets a connection.

    Attributes:
        shown_url: Its address without a password, for messages.
    """

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self.shown_url = cluster.shown_url
        self._cluster = cluster
        self._namespace = cluster.namespace
        self._address = cluster.address()
        self._pool = _connections(cluster, settings)
        self._api_key = cluster.current_api_key()
        self._shards_at_refresh: dict[str, int] = {}
        self._lock = threading.Lock()
        stream_name("events", cluster.namespace)  # an impossible namespace is told of now, not at the first line

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._pool.close()

    def identity(self) -> str:
        """
        Return the cluster's uuid, which it keeps for as long as its data.

        Raises:
            NoAnswerError: If there was no answer.
            RefusedError: If it does not tell, or not yet.
        """
        answer = self._request("GET", _IDENTITY_PATH)
        identity = _accepted(answer).get("cluster_uuid")
        if not isinstance(identity, str) or identity == _NO_IDENTITY_YET:
            raise RefusedError(answer.status, f"no cluster_uuid in the answer: {answer.text}")
        return identity

    def bulk(self, stream: str, body: bytes, *, refresh: bool = False) -> Answer:
        """
        Send the lines of a bulk request; with *refresh* its documents are searchable when the answer comes.

        Raises:
            NoAnswerError: If there was no answer, or only a part of one.
        """
        query = f"{_BULK_QUERY}&refresh=true" if refresh else _BULK_QUERY
        return self._request("POST", self._path(stream, f"_bulk?{query}"), body, "application/x-ndjson")

    def refresh(self, stream: str) -> None:
        """
        Make all documents of *stream* searchable. A stream that does not exist has none.

        Raises:
            NoAnswerError: If there was no answer.
            RefusedError: If the store did not do it, or not on every shard.
        """
        # Not with ignore_unavailable: a stream that the key may not refresh would be left out without a word.
        answer = self._request("POST", self._path(stream, "_refresh?filter_path=_shards"))
        if answer.status == 404:
            return
        if _accepted(answer).get("_shards", {}).get("failed"):
            raise RefusedError(answer.status, f"refreshed only a part of the shards: {answer.text}")

    def existing_ids(self, stream: str, ids: Sequence[str], *, just_sent: bool) -> frozenset[str]:
        """
        Return which of *ids* the stream holds, where the store would not notice when it is given them again.

        An id is unique within one backing index. A stream that has only one refuses the second copy itself, so
        nothing is looked for there, and nothing is returned.

        Args:
            stream: ``events``, ``app``, …
            ids: What to look for.
            just_sent: Whether this shipper sent some of them a moment ago, so that they may not be searchable yet.

        Raises:
            NoAnswerError: If there was no answer.
            RefusedError: If the store did not do it.
        """
        shards = self._shards(stream)
        if shards <= 1:
            return frozenset()
        if just_sent or self._shards_at_refresh.get(stream) != shards:
            self.refresh(stream)
            with self._lock:
                self._shards_at_refresh[stream] = shards
        return self.searchable_ids(stream, ids)

    def searchable_ids(self, stream: str, ids: Sequence[str]) -> frozenset[str]:
        """
        Return which of *ids* a search in *stream* finds: not yet what was stored a moment ago.

        Raises:
            NoAnswerError: If there was no answer.
            RefusedError: If the store did not do it.
        """
        found: set[str] = set()
        for start in range(0, len(ids), _IDS_A_SEARCH):
            found |= self._search_ids(stream, ids[start : start + _IDS_A_SEARCH])
        return frozenset(found)

    def _shards(self, stream: str) -> int:
        path = f"_search?size=0&track_total_hits=false&filter_path=_shards.total&{_SEARCH_QUERY}"
        answer = self._request("GET", self._path(stream, path))
        if answer.status == 404:
            return 0
        try:
            return int(_accepted(answer)["_shards"]["total"])
        except (KeyError, TypeError, ValueError):
            raise RefusedError(answer.status, f"no number of shards in the answer: {answer.text}") from None

    def _search_ids(self, stream: str, ids: Sequence[str]) -> set[str]:
        body = {"size": _HITS_A_SEARCH, "query": {"ids": {"values": ids}}, "_source": False}
        path = f"_search?track_total_hits=false&filter_path=timed_out,hits.hits._id&{_SEARCH_QUERY}"
        answer = self._request("POST", self._path(stream, path), orjson.dumps(body), "application/json")
        content = _accepted(answer)
        if content.get("timed_out") is not False:
            raise RefusedError(answer.status, f"the search for ids did not come to its end: {answer.text}")
        return {hit["_id"] for hit in content.get("hits", {}).get("hits", [])}

    def _path(self, stream: str, action: str) -> str:
        return f"/{stream_name(stream, self._namespace)}/{action}"

    def _request(self, method: str, path: str, body: bytes | None = None, content_type: str | None = None) -> Answer:
        api_key = self._api_key
        answer = self._send(method, path, body, self._headers(api_key, content_type))
        if answer.status == 401 and (current := self._reread_api_key()) != api_key:
            answer = self._send(method, path, body, self._headers(current, content_type))
        return replace(answer, advice=self._cluster.advice_after_401) if answer.status == 401 else answer

    def _reread_api_key(self) -> str | None:
        """Return the API key as its file holds it now; the last one if the file cannot be read."""
        with suppress(OperatorError):
            self._api_key = self._cluster.current_api_key()
        return self._api_key

    def _headers(self, api_key: str | None, content_type: str | None) -> dict[str, str]:
        headers = {"accept": "application/json", "user-agent": "inferlog-ship"}
        if api_key:
            headers["authorization"] = f"ApiKey {api_key}"
        elif self._address.auth:
            headers |= urllib3.util.make_headers(basic_auth=unquote(self._address.auth))
        return headers | ({"content-type": content_type} if content_type else {})

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        url = (self._address.path or "").rstrip("/") + path
        try:
            answer = self._pool.request(method, url, body=body, headers=headers, retries=False, redirect=False)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            raise NoAnswerError(f"from {self.shown_url}: {_words(error)}", may_have_arrived=False) from error
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswerError(f"from {self.shown_url}: {_words(error)}", may_have_arrived=True) from error
        return _answer(answer.status, answer.data)


def _answer(status: int, data: bytes) -> Answer:
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError:
        content = None
    return Answer(status, content, data[:200].decode(errors="replace"))


def refusal(answer: Answer) -> RefusedError:
    """Return what *answer*, which is not what was asked for, says in the store's own words."""
    error = answer.content.get("error") if isinstance(answer.content, dict) else None
    if isinstance(error, dict):
        words = f"{error.get('type')}: {error.get('reason')}"
        return RefusedError(answer.status, f"answered {answer.status}: {words}{answer.advice}", str(error.get("type")))
    words = answer.text.strip() or "(nothing)"
    return RefusedError(answer.status, f"answered {answer.status}: {words}{answer.advice}")


def _accepted(answer: Answer) -> dict[str, Any]:
    if answer.status != 200 or not isinstance(answer.content, dict):
        raise refusal(answer)
    return answer.content


def _words(error: urllib3.exceptions.HTTPError) -> str:
    """Return what went wrong, without the object that urllib3 puts before it."""
    inner = error.args[1] if isinstance(error, urllib3.exceptions.ProtocolError) and len(error.args) > 1 else error
    return _OBJECT.sub("", str(inner)) or type(error).__name__


def _connections(cluster: Cluster, settings: Settings) -> urllib3.HTTPConnectionPool:
    address = cluster.address()
    options: dict[str, Any] = {
        "maxsize": settings.senders,
        "timeout": urllib3.Timeout(connect=settings.connect_timeout_seconds, read=settings.answer_timeout_seconds),
    }
    if address.scheme == "http":
        return urllib3.HTTPConnectionPool(address.host or "", address.port, **options)
    return urllib3.HTTPSConnectionPool(
        address.host or "", address.port, cert_reqs="CERT_REQUIRED", ca_certs=cluster.ca_file, **options
    )
