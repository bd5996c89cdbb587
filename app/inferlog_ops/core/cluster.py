"""The Elasticsearch cluster of a command: address, credentials, and one-sentence errors."""

import base64
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import elasticsearch
from elastic_transport.client_utils import DEFAULT
from elasticsearch import Elasticsearch, ElasticsearchWarning
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from inferlog_ops.core.errors import OperatorError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_TREATED_AS_MISSING = r"(?s)Line \d+:\d+: |.*\\$|.*treating result as null"
"""The client splits such a warning at the quotation marks of the query that it quotes."""
_UNPROVISIONED = re.compile(r"index_not_found_exception|verification_exception: .*Unknown (index|column)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """
    Address and credentials of an Elasticsearch cluster.

    Attributes:
        url: ``http(s)://host:port``, optionally with user and password. Default port: 80 or 443.
        api_key: In the ``encoded`` form that Elasticsearch returns.
        api_key_file: File with the API key, instead of *api_key*.
        user_and_password: Basic authentication, used by the set-up of the container stack.
        ca_file: PEM file of the certificate authority. Default: the authorities of the system.
        namespace: Last part of every data stream's name, ``logs-inference.<stream>-<namespace>``.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    api_key_file: Path | None = None
    user_and_password: tuple[str, str] | None = field(default=None, repr=False)
    ca_file: str | None = None
    namespace: str = "default"

    def build_client(self, *, request_timeout_seconds: float = 30.0) -> Elasticsearch:
        """Return a client for this cluster. Connects at the first request."""
        address = self.parse_address()
        # ES|QL treats a value that it cannot compute with as missing, and warns.
        warnings.filterwarnings("ignore", message=_TREATED_AS_MISSING, category=ElasticsearchWarning)
        try:
            return Elasticsearch(
                address.url,
                api_key=self.read_api_key(),
                basic_auth=self.user_and_password,
                ca_certs=self.ca_file or DEFAULT,
                request_timeout=request_timeout_seconds,
            )
        except (ValueError, OSError) as error:
            raise OperatorError(
                f"Elasticsearch at {self.shown_url!r}: {error}; check ELASTICSEARCH_CA_FILE and the credentials",
                exit_code=2,
            ) from error

    def parse_address(self) -> Url:
        """
        Parse the URL; the result always has a port.

        Raises:
            OperatorError: If it is not an HTTP URL.
        """
        try:
            parts = parse_url(self.url)
        except LocationParseError:
            parts = Url()  # the exception repeats the address, which may hold a password
        if parts.scheme not in _DEFAULT_PORTS or not parts.host:
            raise OperatorError(
                f"the address of Elasticsearch is {self.shown_url!r}; expected http(s)://host:port", exit_code=2
            )
        return parts._replace(port=parts.port or _DEFAULT_PORTS[parts.scheme])

    def read_api_key(self) -> str | None:
        """
        Return the encoded API key. A key file is read at each call, so that a new key takes effect.

        Raises:
            OperatorError: If the file is not readable or does not contain a key.
        """
        return _read_key(self.api_key_file) if self.api_key_file else self.api_key

    @property
    def advice_after_401(self) -> str:
        """Advice for messages: where to write a valid API key. Empty without a key file."""
        return f"; write a valid API key into {self.api_key_file}" if self.api_key_file else ""

    @property
    def shown_url(self) -> str:
        """The URL without user and password, for messages."""
        scheme, separator, rest = self.url.partition("://")
        return f"{scheme}{separator}{rest.rpartition('@')[2]}"

    def as_environment(self) -> dict[str, str]:
        """Return the URL as an environment variable for a child process; ``ps`` would show an argument."""
        return {"ELASTICSEARCH_URL": self.url}


def resolve_cluster(url: str | None, namespace: str, *, fallback_url: str | None = None) -> Cluster:
    """
    Combine *url*, ``ELASTICSEARCH_URL`` or *fallback_url*, in this order, with the credentials in the environment.

    Raises:
        OperatorError: If there is no address, or the API key is given twice or is not usable.
    """
    address = url or os.environ.get("ELASTICSEARCH_URL") or fallback_url
    if not address:
        raise OperatorError(
            "no Elasticsearch address: give --url or set ELASTICSEARCH_URL, "
            "or start the embedded engine with: inferlog engine start",
            exit_code=2,
        )
    key, key_file = os.environ.get("ELASTICSEARCH_API_KEY"), os.environ.get("ELASTICSEARCH_API_KEY_FILE")
    if key and key_file:
        raise OperatorError(
            "ELASTICSEARCH_API_KEY and ELASTICSEARCH_API_KEY_FILE are both set; unset one of them", exit_code=2
        )
    cluster = Cluster(
        url=address.rstrip("/"),
        api_key=encode_api_key(key, "ELASTICSEARCH_API_KEY") if key else None,
        api_key_file=Path(key_file) if key_file else None,
        ca_file=os.environ.get("ELASTICSEARCH_CA_FILE") or None,
        namespace=namespace,
    )
    cluster.read_api_key()
    return cluster


def encode_api_key(text: str, where: str) -> str:
    """
    Return the API key *text*, given as ``id:key`` or already encoded, in the encoded form.

    Raises:
        OperatorError: If it cannot be a key; the message contains *where* it was found, never the key.
    """
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise OperatorError(f"{where} does not hold an API key; expected id:key or its encoded form", exit_code=2)
    return base64.b64encode(key.encode()).decode() if ":" in key else key


def _read_key(path: Path) -> str:
    where = f"ELASTICSEARCH_API_KEY_FILE ({path})"
    try:
        return encode_api_key(path.read_text(), where)
    except OSError as error:
        raise OperatorError(f"{where} cannot be read: {error.strerror}", exit_code=2) from error
    except UnicodeDecodeError:
        return encode_api_key("", where)


@contextmanager
def translate_errors(cluster: Cluster, doing: str) -> Iterator[None]:
    """
    Translate the client's exceptions in the block into an `OperatorError` that begins with *doing*.

    Raises:
        OperatorError: With the cluster's reason, its address and the next step.
    """
    try:
        yield
    except elasticsearch.ApiError as error:
        advice = cluster.advice_after_401 if error.status_code == 401 else ""
        raise OperatorError(
            f"{doing}: {cluster.shown_url} answered {error.status_code}: {find_reason(error)}{advice}"
        ) from error
    except elasticsearch.TransportError as error:
        raise OperatorError(
            f"{doing}: no answer from {cluster.shown_url} ({error.message}); "
            "is it running? Check the embedded engine with: inferlog engine status"
        ) from error


@contextmanager
def require_stream(cluster: Cluster, stream: str) -> Iterator[None]:
    """
    Translate the error about a missing *stream* in the block into one that names the command which creates it.

    Raises:
        OperatorError: If the stream is missing.
    """
    try:
        yield
    except elasticsearch.ApiError as error:
        if not is_unprovisioned(error):
            raise
        raise make_unprovisioned_error(cluster, f"the stream {stream}", "it") from error


def is_unprovisioned(error: elasticsearch.ApiError) -> bool:
    """Return whether the cluster lacks an index, or in ES|QL a field."""
    return bool(_UNPROVISIONED.match(find_reason(error)))


def make_unprovisioned_error(cluster: Cluster, missing: str, pronoun: str) -> OperatorError:
    """Return the error about *missing* streams or fields, with the command that creates them."""
    return OperatorError(
        f"{cluster.shown_url} lacks {missing}; "
        f"create {pronoun} with: inferlog provision --namespace {cluster.namespace}"
    )


def find_reason(error: elasticsearch.ApiError) -> str:
    """Return the cluster's reason for an error, the innermost cause if there is one."""
    body = error.body
    if not isinstance(body, dict) or not isinstance(body.get("error"), dict):
        return " ".join(str(body or error.message).split())[:300]  # a proxy's page is many lines long
    cause = body["error"]
    while isinstance(cause.get("caused_by"), dict) and cause["caused_by"].get("reason"):
        cause = cause["caused_by"]
    return f"{cause.get('type', 'error')}: {cause.get('reason', error.message)}"
