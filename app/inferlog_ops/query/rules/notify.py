"""Webhook notification: POSTs the evaluation as one JSON object."""

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
_RETRYABLE_STATUSES = (429, 500, 502, 503, 504)


def parse_webhook_url(text: str) -> Url:
    """
    Parse *text* as a webhook URL.

    Raises:
        OperatorError: If it is not an http or https URL. The message omits its path, which may be a secret.
    """
    try:
        url = parse_url(text)
    except LocationParseError:
        url = Url()
    if url.scheme not in {"http", "https"} or not url.host:
        raise OperatorError(
            f"--notify is {redact_url(url)!r}; expected a URL such as https://hooks.example/T1", exit_code=2
        )
    return url


def redact_url(url: Url) -> str:
    """Return *url* without user, path and query, which may be secrets."""
    return f"{url.scheme or '?'}://{url.netloc or '?'}"


def build_message(evaluation: Evaluation) -> dict[str, Any]:
    """Return the JSON body: ``text`` for a chat, the other keys for a program."""
    return {"text": "\n".join(_format_message_lines(evaluation)), **evaluation.as_json()}


def post(url: Url, content: dict[str, Any]) -> None:
    """
    POST *content*; connection errors, timeouts and retryable statuses are retried twice.

    Raises:
        OperatorError: If the webhook did not accept it, with the status or the reason.
    """
    headers = {"content-type": "application/json", "user-agent": "inferlog"}
    if url.auth:
        headers |= urllib3.make_headers(basic_auth=unquote(url.auth))
    retries = urllib3.Retry(
        total=_RETRIES,
        allowed_methods=None,  # also POST: a duplicate notification is better than none
        status_forcelist=_RETRYABLE_STATUSES,
        backoff_factor=0.5,
        respect_retry_after_header=False,  # the delay could be an hour
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
        raise OperatorError(
            f"the webhook {redact_url(url)} was not notified: {_find_innermost_reason(error)}"
        ) from error
    if not 200 <= status < 300:
        raise OperatorError(
            f"the webhook {redact_url(url)} was not notified: it returned status {status}; check the URL in --notify"
        )


def _format_message_lines(evaluation: Evaluation) -> list[str]:
    count = len(evaluation.alerts) + sum(evaluation.not_listed.values())
    head = f"inferlog ({evaluation.namespace}): {count} {'alert fires' if count == 1 else 'alerts fire'}"
    alerts = (
        f"[{alert.rule.severity}] {alert.rule.title}: {alert.group_text}: {alert.figures_text}"
        for alert in evaluation.alerts
    )
    failures = (f"[not evaluated] {', '.join(names)}: {reason}" for reason, names in evaluation.failures.items())
    more = (f"[not listed] {name}: at least {count:,} more" for name, count in evaluation.not_listed.items())
    return [head, *alerts, *more, *failures]


def _find_innermost_reason(error: HTTPError) -> str:
    """Return the innermost reason: outer errors repeat the whole URL."""
    inner = getattr(error, "reason", None)
    if isinstance(inner, Exception):
        return _find_innermost_reason(inner) if isinstance(inner, HTTPError) else str(inner)
    return str(error).rpartition(": ")[2]
