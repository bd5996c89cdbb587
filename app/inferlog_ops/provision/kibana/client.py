"""HTTP client of Kibana; connection and permission errors become one sentence."""

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError
from urllib3.filepost import encode_multipart_formdata

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import Request
from inferlog_ops.provision.kibana.address import DEFAULT_SPACE, Kibana

_API_VERSION = "2023-10-31"
_TIMEOUT = urllib3.Timeout(connect=10.0, read=60.0)  # seconds; creating a rule can take several
_LONGEST_MESSAGE = 1500  # characters: for one error in a chart, Kibana lists the schema of every kind of chart


class UnreachableError(OperatorError):
    """No response, with the *reason*. A starting Kibana also raises this."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class KibanaResponse:
    """
    A response of Kibana.

    Attributes:
        status: The HTTP status.
        body: Body as bytes.
    """

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is not valid JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    @property
    def message(self) -> str:
        """Kibana's message, on one line."""
        answer = self.json
        words = answer.get("message") if isinstance(answer, dict) else None
        text = " ".join(str(words or self.body.decode(errors="replace")).split()) or "no reason given"
        return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]} …"


class KibanaClient:
    """A connection to one Kibana; a context manager."""

    label = "Kibana"

    def __init__(self, kibana: Kibana) -> None:
        """
        Create a client for *kibana*; it connects at the first request.

        Raises:
            OperatorError: If its CA file is not readable, or its API key is not a valid header.
        """
        self.kibana = kibana
        self._headers = {"kbn-xsrf": "true", "Elastic-Api-Version": _API_VERSION, **_build_authorization(kibana)}
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT, ssl_context=_create_ssl_context(kibana))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.clear()

    def send(self, request: Request, doing: str, /) -> KibanaResponse:
        """
        Send *request* to the space and return the response with any status but 401 and redirects.

        Raises:
            UnreachableError: If there is no response.
            OperatorError: If the credentials are missing or wrong, or the server is not a Kibana. The message begins
                with *doing*.
        """
        space = "" if self.kibana.space == DEFAULT_SPACE else f"/s/{self.kibana.space}"
        return self._send(request, f"{self.kibana.base_url}{space}{request.path}", doing, {})

    def send_outside_space(
        self, request: Request, doing: str, /, *, headers: Mapping[str, str] | None = None
    ) -> KibanaResponse:
        """Send *request* like `send`, but outside of any space, with additional *headers*."""
        return self._send(request, f"{self.kibana.base_url}{request.path}", doing, headers or {})

    def _send(self, request: Request, url: str, doing: str, more_headers: Mapping[str, str]) -> KibanaResponse:
        content, content_type = _encode_content(request)
        headers = {**self._headers, **more_headers, **({"Content-Type": content_type} if content else {})}
        try:
            response = self._pool.request(request.method, url, body=content, headers=headers, redirect=False)
        except SSLError as error:
            raise OperatorError(f"{doing}: {self._explain_tls_error(error)}") from error
        except HTTPError as error:
            reason = _describe_reason(error)
            raise UnreachableError(
                f"{doing}: {self.kibana.base_url} does not answer ({reason}); "
                "earlier steps are kept: provision again when it answers",
                reason=reason,
            ) from error
        answer = KibanaResponse(status=response.status, body=response.data)
        if "x-elastic-product" in response.headers and "kbn-name" not in response.headers:
            raise OperatorError(
                f"{self.kibana.base_url} is an Elasticsearch, not a Kibana; the default port of Kibana is 5601"
            )
        self._check_access(answer, doing)
        return answer

    def _check_access(self, answer: KibanaResponse, doing: str) -> None:
        if answer.status == 401:
            has = "the credentials" if "Authorization" in self._headers else "a request without credentials"
            raise OperatorError(
                f"{doing}: {self.kibana.base_url} rejected {has} (401: {answer.message}); "
                "set KIBANA_API_KEY, or put user:password@ into the address"
            )
        if 300 <= answer.status < 400:
            raise OperatorError(
                f"{doing}: {self.kibana.base_url} answered {answer.status}, a redirect; "
                "is the base path missing in the address?"
            )

    def _explain_tls_error(self, error: SSLError) -> str:
        text = str(error)
        if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
            return f"{self.kibana.base_url} does not use TLS; should the address begin with http:// ?"
        return (
            f"the certificate of {self.kibana.base_url} is not trusted ({' '.join(text.split())}); "
            "set KIBANA_CA_FILE to the certificate of the authority that signed it"
        )


def _build_authorization(kibana: Kibana) -> dict[str, str]:
    if kibana.api_key:
        if not kibana.api_key.isascii() or not kibana.api_key.isprintable():
            raise OperatorError(
                "KIBANA_API_KEY contains invalid characters; expected the encoded key, on one line", exit_code=2
            )
        return {"Authorization": f"ApiKey {kibana.api_key}"}
    if kibana.user_and_password:
        encoded = base64.b64encode(kibana.user_and_password.encode()).decode("ascii")
        return {"Authorization": f"Basic {encoded}"}
    return {}


def _create_ssl_context(kibana: Kibana) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=kibana.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise OperatorError(
            f"KIBANA_CA_FILE is {kibana.ca_file!r}, which cannot be read: {error.strerror or error}; "
            "expected a PEM file with certificates",
            exit_code=2,
        ) from error


def encode_body(request: Request) -> bytes | None:
    """Return the body of *request* as indented JSON, or with one JSON value per line."""
    if isinstance(request.body, list):
        return b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in request.body)
    return None if request.body is None else orjson.dumps(request.body, option=orjson.OPT_INDENT_2)


def _encode_content(request: Request) -> tuple[bytes | None, str]:
    body = encode_body(request)
    if request.file_name is None or body is None:
        return body, "application/json"
    return encode_multipart_formdata({"file": (request.file_name, body, "application/ndjson")})


def _describe_reason(error: HTTPError) -> str:
    if isinstance(error, NewConnectionError):
        return str(error).rpartition(": ")[2]
    if isinstance(error, HTTPTimeoutError):
        return "no answer in time"
    return " ".join(str(error).split())
