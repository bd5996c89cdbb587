"""Which Elasticsearch a command talks to, and how it says that it cannot."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import elasticsearch
from elastic_transport.client_utils import DEFAULT
from elasticsearch import Elasticsearch

from inferlog_ops.errors import OperatorError


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """
    An Elasticsearch and what it wants to see before it answers.

    Attributes:
        url: ``http(s)://host:port``; user and password may stand in it.
        api_key: The ``encoded`` form, as Elasticsearch hands it out.
        user_and_password: Of a person, or of a set-up; an address or a key is the usual place.
        ca_file: PEM file of the authority that signed its certificate; the system's authorities if absent.
        namespace: Last part of every data stream's name, ``logs-inference.<stream>-<namespace>``.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    user_and_password: tuple[str, str] | None = field(default=None, repr=False)
    ca_file: str | None = None
    namespace: str = "default"

    def client(self, *, request_timeout_seconds: float = 30.0) -> Elasticsearch:
        """Return a client for this cluster. Makes no connection yet."""
        try:
            return Elasticsearch(
                self.url,
                api_key=self.api_key,
                basic_auth=self.user_and_password,
                ca_certs=self.ca_file or DEFAULT,
                request_timeout=request_timeout_seconds,
            )
        except (ValueError, OSError) as error:
            raise OperatorError(
                f"ELASTICSEARCH_URL is {self.shown_url!r}: {error}; expected http(s)://host:port"
            ) from error

    @property
    def shown_url(self) -> str:
        """The address without a password, for messages."""
        scheme, separator, rest = self.url.partition("://")
        return f"{scheme}{separator}{rest.rpartition('@')[2]}"

    def as_environment(self) -> dict[str, str]:
        """Return what tells a new process of the address: as an argument, every list of processes would show it."""
        return {"ELASTICSEARCH_URL": self.url}


def cluster_from(url: str | None, namespace: str, *, fallback_url: str | None = None) -> Cluster:
    """
    Put together *url* or ``ELASTICSEARCH_URL`` or *fallback_url* with the credentials from the environment.

    Raises:
        OperatorError: If no address is known.
    """
    address = url or os.environ.get("ELASTICSEARCH_URL") or fallback_url
    if not address:
        raise OperatorError(
            "no Elasticsearch is named: give --url or set ELASTICSEARCH_URL, "
            "or start the embedded one with: inferlog engine start",
            exit_code=2,
        )
    return Cluster(
        url=address.rstrip("/"),
        api_key=os.environ.get("ELASTICSEARCH_API_KEY") or None,
        ca_file=os.environ.get("ELASTICSEARCH_CA_FILE") or None,
        namespace=namespace,
    )


@contextmanager
def explained(cluster: Cluster, doing: str) -> Iterator[None]:
    """
    Turn the client's exceptions inside the block into one sentence that says what *doing* met.

    Raises:
        OperatorError: With the cluster's own reason, its address and what to look at.
    """
    try:
        yield
    except elasticsearch.ApiError as error:
        raise OperatorError(f"{doing}: {cluster.shown_url} answered {error.status_code}: {reason(error)}") from error
    except elasticsearch.TransportError as error:
        raise OperatorError(
            f"{doing}: no answer from {cluster.shown_url} ({error.message}); "
            "is it running? inferlog engine status tells of the embedded one"
        ) from error


def reason(error: elasticsearch.ApiError) -> str:
    """Return the cluster's own words for what it refused, the innermost cause where it names one."""
    body = error.body
    if not isinstance(body, dict) or not isinstance(body.get("error"), dict):
        return " ".join(str(body or error.message).split())[:300]  # a proxy's page is many lines long
    cause = body["error"]
    while isinstance(cause.get("caused_by"), dict) and cause["caused_by"].get("reason"):
        cause = cause["caused_by"]
    return f"{cause.get('type', 'error')}: {cause.get('reason', error.message)}"
