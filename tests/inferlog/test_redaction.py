import pytest

from inferlog.redaction import names_a_secret, redact

MUST_GO = [
    ("Authorization: Bearer abcdef123456", "abcdef123456"),
    ("authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("sent Bearer abc.def-ghi_jkl", "abc.def-ghi_jkl"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "eyJzdWIiOiIxMjM0In0"),
    ("postgres://app:hunter2@db:5432/x", "hunter2"),
    ("redis://:hunter2@cache", "hunter2"),
    ('{"password": "hunter2!"}', "hunter2!"),
    ("api_key=abcd1234", "abcd1234"),
    ("OPENAI_API_KEY=sk-proj-abcdefghijklmnop1234", "abcdefghijklmnop1234"),
    ("key sk-abcdefghijklmnopqrstuvwx is wrong", "abcdefghijklmnopqrstuvwx"),
    ("token ghp_abcdefghijklmnopqrstuvwxyz0123", "abcdefghijklmnopqrstuvwxyz0123"),
    ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
    ("-----BEGIN PRIVATE KEY-----\nMIIE and cut off", "MIIE"),
    ("client_secret: s3cr3t", "s3cr3t"),
]
MUST_STAY = [
    "output_tokens: 12 of 40",
    "the bearer of bad news",
    "http://localhost:9200/_bulk refused",
    "basic authentication is required",
    "division by zero",
    "model v1.2.3 at 10:15:00",
    "a password is required",
    "user@example.org asked",
    "ftp://host/path:1@2",
]


@pytest.mark.parametrize(("text", "secret"), MUST_GO)
def test_credentials_go(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "[REDACTED]" in redact(text)


@pytest.mark.parametrize("text", MUST_STAY)
def test_look_alikes_stay(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("name", ["password", "api_key", "db.password", "X-Api-Key", "session_token", "Cookie"])
def test_some_names_are_enough(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize("name", ["tokens", "output_tokens", "keyboard", "secretary", "tokenizer"])
def test_similar_names_are_not(name: str) -> None:
    assert not names_a_secret(name)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", ["a-", "a_", "a.", "eyJ-", "Bearer ", "://", "password", "sk-", "a:/", "-----BEGIN "])
def test_a_hostile_text_does_not_hang(part: str) -> None:
    """Backtracking over near-matches would take minutes; the time limit is far from what it takes."""
    redact(part * (64_000 // len(part)))
