"""Speaks HTTP with a Kibana, and turns what it cannot mend into one sentence."""

import base64
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError
from urllib3.filepost import encode_multipart_formdata

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.kibana.address import DEFAULT_SPACE, Kibana
from inferlog_ops.provision.kibana.wanted import Request

_API_VERSION = "2023-10-31"
_TIMEOUT = urllib3.Timeout(connect=10.0, read=60.0)  # seconds; a rule's creation can take several
_LONGEST_MESSAGE = 1500  # characters: one fault in a chart makes Kibana list what each kind of chart would want


class UnreachableError(OperatorError):
    """Nothing answered, for *reason*. A Kibana that is starting is like that, too."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    What Kibana answered.

    Attributes:
        status: The HTTP status.
        body: Its bytes.
    """

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether Kibana did what it was asked for."""
        return 200 <= self.status < 300

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    @property
    def message(self) -> str:
        """Kibana's own words, on one line."""
        answer = self.json
        words = answer.get("message") if isinstance(answer, dict) else None
        text = " ".join(str(words or self.body.decode(errors="replace")).split()) or "no reason given"
        return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]} …"


class Client:
    """A connection to one Kibana; a context manager."""

    def __init__(self, kibana: Kibana) -> None:
        """
        Prepare for talking to *kibana*; connects at the first request.

        Raises:
            OperatorError: If its file of authorities cannot be read, or its credentials cannot be sent.
        """
        self.kibana = kibana
        self._headers = {"kbn-xsrf": "true", "Elastic-Api-Version": _API_VERSION, **_authorization(kibana)}
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT, ssl_context=_ssl_context(kibana))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.clear()

    def ask(self, request: Request, doing: str) -> Answer:
        """
        Send *request* into the space and return what came back, whatever its status.

        Raises:
            UnreachableError: If nothing answered.
            OperatorError: If Kibana does not let us in, does not let us do that, or is no Kibana; says that it was
                met *doing* this.
        """
        space = "" if self.kibana.space == DEFAULT_SPACE else f"/s/{self.kibana.space}"
        return self._ask(request, f"{self.kibana.base_url}{space}{request.path}", doing)

    def ask_about_itself(self, request: Request, doing: str) -> Answer:
        """Do as `ask`, outside of any space."""
        return self._ask(request, f"{self.kibana.base_url}{request.path}", doing)

    def _ask(self, request: Request, url: str, doing: str) -> Answer:
        content, content_type = _content(request)
        headers = {**self._headers, **({"Content-Type": content_type} if content else {})}
        try:
            response = self._pool.request(request.method, url, body=content, headers=headers, redirect=False)
        except SSLError as error:
            raise OperatorError(f"{doing}: {self._no_trust(error)}") from error
        except HTTPError as error:
            reason = _reason(error)
            raise UnreachableError(
                f"{doing}: {self.kibana.base_url} does not answer ({reason}); "
                "what is done is done: provision again when it does",
                reason=reason,
            ) from error
        answer = Answer(status=response.status, body=response.data)
        if "x-elastic-product" in response.headers and "kbn-name" not in response.headers:
            raise OperatorError(
                f"{self.kibana.base_url} is an Elasticsearch, no Kibana; a Kibana listens on port 5601 as a rule"
            )
        self._refuse_strangers(answer, doing)
        return answer

    def _refuse_strangers(self, answer: Answer, doing: str) -> None:
        if answer.status == 401:
            has = "the credentials" if "Authorization" in self._headers else "a call without credentials"
            raise OperatorError(
                f"{doing}: {self.kibana.base_url} refused {has} (401: {answer.message}); "
                "set KIBANA_API_KEY, or put user:password@ into the address"
            )
        if answer.status == 403:
            raise OperatorError(
                f"{doing}: the credentials are known to {self.kibana.base_url} but may not do this "
                f"(403: {answer.message}); which privileges are needed: docs/kibana.md"
            )
        if 300 <= answer.status < 400:
            raise OperatorError(
                f"{doing}: {self.kibana.base_url} answered {answer.status}, a redirection; "
                "is its base path missing in the address?"
            )

    def _no_trust(self, error: SSLError) -> str:
        text = str(error)
        if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
            return f"{self.kibana.base_url} does not speak TLS; should the address begin with http:// ?"
        return (
            f"the certificate of {self.kibana.base_url} is not trusted ({' '.join(text.split())}); "
            "KIBANA_CA_FILE names the file with the authority that signed it"
        )


def _authorization(kibana: Kibana) -> dict[str, str]:
    if kibana.api_key:
        if not kibana.api_key.isascii() or not kibana.api_key.isprintable():
            raise OperatorError(
                "KIBANA_API_KEY holds characters that no key has; expected its encoded form, on one line", exit_code=2
            )
        return {"Authorization": f"ApiKey {kibana.api_key}"}
    if kibana.user_and_password:
        encoded = base64.b64encode(kibana.user_and_password.encode()).decode("ascii")
        return {"Authorization": f"Basic {encoded}"}
    return {}


def _ssl_context(kibana: Kibana) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=kibana.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise OperatorError(
            f"KIBANA_CA_FILE is {kibana.ca_file!r}, which cannot be read: {error.strerror or error}; "
            "expected a PEM file with certificates",
            exit_code=2,
        ) from error


def _content(request: Request) -> tuple[bytes | None, str]:
    if request.file_name is None or request.body is None:
        return request.body, "application/json"
    return encode_multipart_formdata({"file": (request.file_name, request.body, "application/ndjson")})


def _reason(error: HTTPError) -> str:
    if isinstance(error, NewConnectionError):
        return str(error).rpartition(": ")[2]
    if isinstance(error, HTTPTimeoutError):
        return "no answer in time"
    return " ".join(str(error).split())
