"""Tells a webhook what fires: one JSON object by POST."""

from typing import Any
from urllib.parse import unquote

import orjson
import urllib3
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Url, parse_url

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.rules.evaluate import Evaluation

_RETRIES = 2
_TIMEOUT = urllib3.Timeout(connect=5.0, read=10.0)
_WORTH_ANOTHER_TRY = (429, 500, 502, 503, 504)


def checked_webhook(text: str) -> Url:
    """
    Return *text* as an address to post to.

    Raises:
        OperatorError: If it is none, or not of http or https. Its path is not repeated: it may be a secret.
    """
    try:
        url = parse_url(text)
    except LocationParseError:
        url = Url()
    if url.scheme not in {"http", "https"} or not url.host:
        raise OperatorError(
            f"--notify is {shown(url)!r}; expected an address such as https://hooks.example/T1", exit_code=2
        )
    return url


def shown(url: Url) -> str:
    """Return *url* without user, path and query, which may be secrets."""
    return f"{url.scheme or '?'}://{url.netloc or '?'}"


def message(evaluation: Evaluation) -> dict[str, Any]:
    """Return what the webhook is told: ``text`` for a chat, the rest for a program."""
    return {"text": "\n".join(_lines(evaluation)), **evaluation.as_json()}


def post(url: Url, content: dict[str, Any]) -> None:
    """
    Post *content*; a refused connection, a timeout and an answer that says "later" are tried again twice.

    Raises:
        OperatorError: If it was not taken; says so with the answer's status.
    """
    headers = {"content-type": "application/json", "user-agent": "inferlog"}
    if url.auth:
        headers |= urllib3.make_headers(basic_auth=unquote(url.auth))
    retries = urllib3.Retry(
        total=_RETRIES,
        allowed_methods=None,  # POST too: to be told twice is better than not at all
        status_forcelist=_WORTH_ANOTHER_TRY,
        backoff_factor=0.5,
        respect_retry_after_header=False,  # it could be an hour
        raise_on_status=False,
        redirect=False,
    )
    try:
        with urllib3.PoolManager() as http:
            answer = http.request(
                "POST",
                url._replace(auth=None).url,
                body=orjson.dumps(content),
                headers=headers,
                timeout=_TIMEOUT,
                retries=retries,
                redirect=False,
                preload_content=False,
            )
            status = answer.status
            answer.close()
    except HTTPError as error:
        raise OperatorError(f"the webhook {shown(url)} was not told: {_reason(error)}") from error
    if not 200 <= status < 300:
        raise OperatorError(f"the webhook {shown(url)} was not told: it answered {status}")


def _lines(evaluation: Evaluation) -> list[str]:
    count = len(evaluation.alerts) + sum(evaluation.not_listed.values())
    head = f"inferlog ({evaluation.namespace}): {count} {'alert fires' if count == 1 else 'alerts fire'}"
    alerts = (
        f"[{alert.rule.severity}] {alert.rule.title}: {alert.group_text}: {alert.figures_text}"
        for alert in evaluation.alerts
    )
    failures = (f"[not evaluated] {', '.join(names)}: {reason}" for reason, names in evaluation.failures.items())
    more = (f"[not listed] {name}: at least {count:,} more" for name, count in evaluation.not_listed.items())
    return [head, *alerts, *more, *failures]


def _reason(error: HTTPError) -> str:
    """Return the innermost reason; the outer ones repeat the whole address."""
    inner = getattr(error, "reason", None)
    if isinstance(inner, Exception):
        return _reason(inner) if isinstance(inner, HTTPError) else str(inner)
    return str(error).rpartition(": ")[2]
