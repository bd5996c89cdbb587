"""Webhook notification: retries, and secrets that never reach the terminal."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import urllib3

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.rules import notify
from inferlog_ops.query.rules.alerts import Alert
from inferlog_ops.query.rules.evaluate import Evaluation
from inferlog_ops.query.rules.notify import build_message, parse_webhook_url, post
from inferlog_ops.query.rules.rules import find
from tests.support.webhook import Webhook, run_webhook

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
ALERT = Alert(
    rule=find("p99_latency"),
    group={"model_version": "v2"},
    value=6.25,
    threshold=5.0,
    figures={"p99_seconds": 6.25, "p50_seconds": 0.5, "requests": 240},
    start=AT,
    end=AT,
    at=AT,
)
EVALUATION = Evaluation(at=AT, namespace="default", rules=3, alerts=[ALERT], failures={"it is asleep": ["no_traffic"]})


@pytest.fixture
def receiver() -> Iterator[Webhook]:
    with run_webhook() as receiver:
        yield receiver


def test_one_object_is_posted_with_a_text_for_a_chat(receiver: Webhook) -> None:
    post(parse_webhook_url(receiver.url), build_message(EVALUATION))
    (body,) = receiver.told
    assert body["text"].splitlines() == [
        "inferlog (default): 1 alert fires",
        "[critical] p99 latency is over its service level: v2: p99_seconds 6.25, p50_seconds 0.5, requests 240",
        "[not evaluated] no_traffic: it is asleep",
    ]
    (firing,) = body["firing"]
    assert (firing["rule"], firing["key"], firing["group"]) == (
        "p99_latency",
        "p99_latency:v2",
        {"model_version": "v2"},
    )
    assert (firing["value"], firing["threshold"], firing["severity"]) == (6.25, 5.0, "critical")
    assert body["not_evaluated"] == [{"reason": "it is asleep", "rules": ["no_traffic"]}]
    assert (body["at"], body["namespace"], body["rules"]) == ("2026-11-23T06:00:00.000000Z", "default", 3)
    assert receiver.headers[0]["content-type"] == "application/json"


@pytest.mark.parametrize("statuses", [[500], [503, 429]])
def test_retryable_status_is_retried(receiver: Webhook, statuses: list[int]) -> None:
    receiver.statuses.extend(statuses)
    post(parse_webhook_url(receiver.url), {"n": 1})
    assert receiver.told == [{"n": 1}] * (len(statuses) + 1)


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (404, 1), (401, 1), (302, 1)])
def test_rejection_is_reported_with_status_without_the_secret(receiver: Webhook, status: int, tries: int) -> None:
    receiver.statuses.extend([status] * 9)
    with pytest.raises(
        OperatorError, match=rf"the webhook http://127\.0\.0\.1:\d+ was not notified: it returned status {status}; "
    ):
        post(parse_webhook_url(receiver.url), {})
    assert len(receiver.told) == tries


def test_missing_receiver_is_reported(receiver: Webhook) -> None:
    with pytest.raises(OperatorError, match=r"http://127\.0\.0\.1:1 was not notified: .*refused") as refusal:
        post(parse_webhook_url("http://127.0.0.1:1/s3cr3t?token=s3cr3t"), {})
    assert "s3cr3t" not in str(refusal.value)


def test_silent_receiver_times_out(receiver: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "_TIMEOUT", urllib3.Timeout(total=0.2))
    receiver.hang = threading.Event()
    with pytest.raises(OperatorError, match=r"was not notified: .*timed out"):
        post(parse_webhook_url(receiver.url), {})


def test_url_credentials_are_sent_as_basic_auth(receiver: Webhook) -> None:
    post(parse_webhook_url(receiver.url.replace("//", "//ann:p%40ss@")), {})
    assert receiver.headers[0]["authorization"] == "Basic YW5uOnBAc3M="  # ann:p@ss


@pytest.mark.parametrize(
    "address",
    ["", "hooks.example/T1", "ftp://hooks.example/T1", "file:///etc/passwd", "http://", "http://[", "https:T1"],
)
def test_invalid_webhook_url_is_wrong_usage(address: str) -> None:
    with pytest.raises(OperatorError, match="--notify is .* expected a URL such as https") as refusal:
        parse_webhook_url(address)
    assert refusal.value.exit_code == 2
    assert "T1" not in str(refusal.value).partition(";")[0]
