import json
import re
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inferlog.redaction import REDACTED, Secrets, build_secrets, is_secret_name, redact

CORPUS: Final = Path(__file__).parent / "redaction"


def read_corpus(name: str) -> list[dict[str, str]]:
    """The rows of a corpus file. A ``¦`` splits each made-up token, so that scanners do not report it."""
    lines = (CORPUS / name).read_text(encoding="utf-8").replace("¦", "").splitlines()
    return [json.loads(line) for line in lines]


def split_words(words: str) -> list[str]:
    return words.split()


MUST_GO: Final = read_corpus("must_go.jsonl")
MUST_STAY: Final = read_corpus("must_stay.jsonl")


@pytest.mark.parametrize("row", MUST_GO, ids=lambda row: row["why"])
def test_secrets_are_redacted_and_context_is_kept(row: dict[str, str]) -> None:
    assert redact(row["text"]) == row["redacted"]


@pytest.mark.parametrize("row", MUST_STAY, ids=lambda row: row["why"])
def test_look_alikes_are_kept(row: dict[str, str]) -> None:
    assert redact(row["text"]) == row["text"]


def test_corpus_is_large_and_without_repetition() -> None:
    for rows in (MUST_GO, MUST_STAY):
        assert len({row["text"] for row in rows}) == len(rows) >= 60
    assert all(REDACTED in row["redacted"] for row in MUST_GO)


SECRET_NAMES: Final = split_words("""
    password db.password DB_PASSWORD userPassword password2 password_hash user[password] password_confirmation
    passwordAgain password-old pwd_new secret_key_base api_key_previous passphrase passcode smtp_pass pass pwd
    secret secrets client_secret token session_token refreshToken X-Auth-Token jwt csrf_token xsrf otp cvv cvc2
    api_key apiKey API-KEY OPENAI_API_KEY X-Api-Key api_keys private_key ssh_key aws_secret_access_key credentials
    Authorization http.request.header.authorization Proxy-Authorization auth basic_auth
    cookie Set-Cookie cookies PHPSESSID sessionid
""")
OTHER_NAMES: Final = split_words("""
    tokens output_tokens max_tokens token_count tokens_per_second tokenizer token_type token_id eos_token pad_token
    next_token time_to_first_token seconds_per_token key keys keyboard primary_key cache_key public_key idempotency_key
    secretary secret_name password_length password_required password_policy
    password_oldest keys[0] token_old passport bypass compass forward_pass author authority
    oauth_provider session_id laptop adopt cv resume model_version tenant
""")


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_some_names_are_enough(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_similar_names_are_not(name: str) -> None:
    assert not is_secret_name(name)


def test_long_name_is_judged_by_its_end() -> None:
    assert is_secret_name("a" * 10_000 + "_password")
    assert not is_secret_name("password_" + "a" * 10_000)


# What people and programs write around a secret. ``{}`` is its place.
PLACES: Final = (
    "password={}",
    "password = '{}'",
    'apiKey: "{}"',
    "DB_PASSWORD={}",
    '{{"client_secret":"{}","n":1}}',
    "{{'access_token': '{}', 'n': 1}}",
    "[(b'x-api-key', b'{}')]",
    '[["x-api-key","{}"]]',
    '[{{"name":"DB_PASSWORD","value":"{}"}}]',
    "password_confirmation={}",
    "password\u00a0=\u00a0{}",
    "password:\n  {}\n",
    "curl -u app:{} http://x/",
    "--password {}",
    "?api_key={}&n=1",
    "Authorization: Bearer {}",
    "authorization=Token {}",
    "Cookie: sessionid={}; theme=dark",
    "Set-Cookie: sessionid={}; Path=/",
    "the password is {}",
    "<secret>{}</secret>",
    '<o:secret kind="x"><![CDATA[{}]]></o:secret>',
    "postgres://app:{}@db:5432/x",
    "https://{}@git.example.org/a.git",
    "HTTPS://{}@git.example.org/a.git",
    "SplitResult(scheme='https', netloc='app:{}@x', path='')",
    "sk-{}Example0123456789",
    "ghp_{}Example0123456789",
    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\\n{}\\n-----END RSA PRIVATE KEY-----",
    "{}@example.org",
)
made_up = st.from_regex(r"[a-z]{3}[A-Za-z0-9]{4,20}[0-9]{2}", fullmatch=True)
word = st.sampled_from(
    split_words("""
        the model could not answer within 30 seconds because its queue was full; caller asked to come back later, see
        HTTP/1.1 503 on 10.0.0.7:8080 (3 tries) tokens=17 latency 12.5 ms version 2.9.0 660eb8e509e2d4ba325469a200000000
    """)
)
words = st.lists(word, max_size=12).map(" ".join)
separator = st.sampled_from([" ", "\n", "\t", " | ", ": ", ", ", " (", "; ", ' "', "\r\n"])


@given(before=words, opening=separator, place=st.sampled_from(PLACES), secret=made_up, closing=separator, after=words)
def test_secret_is_redacted_in_any_context(
    before: str, opening: str, place: str, secret: str, closing: str, after: str
) -> None:
    redacted = redact(before + opening + place.format(secret) + closing + after)
    assert secret not in redacted
    assert REDACTED in redacted


@given(st.from_regex(r"[\w.-]{0,12}", fullmatch=True))
def test_short_word_is_returned_without_scan(text: str) -> None:
    """Finders skipped for speed would have found nothing."""
    assert redact(text) == text == redact(text, build_secrets(patterns=["(?!)"]))


@given(words)
def test_text_without_secrets_is_unchanged(text: str) -> None:
    assert redact(text) == text


pieces = st.sampled_from(
    [
        *(row["text"] for row in (*MUST_GO, *MUST_STAY)),
        *split_words(
            "password token eos_ secret api_key key authorization Cookie auth pass hunter2 123456 4111 none this"
        ),
        *split_words(
            "= : ' \" \\ , ; & ( ) [ ] { } < > / @ %40 %3d :// \\n İ ſ REDACTED [REDACTED] eyJhbGciOiJIUzI1NiJ9"
        ),
        *(
            " ",
            "\n",
            "\x00",
            "\ud800",
            "Bearer ",
            "is ",
            "-----BEGIN RSA PRIVATE KEY-----",
            "-----END RSA PRIVATE KEY-----",
        ),
    ]
)
texts = st.lists(pieces | st.text(max_size=5), max_size=14).map("".join)


@given(texts)
@example("path=/etc/key.json-----BEGIN RSA PRIVATE KEY-----")
def test_second_redaction_changes_nothing(text: str) -> None:
    redacted = redact(text)
    assert redact(redacted) == redacted


@given(texts)
@example("pwd=x")
def test_text_grows_to_less_than_three_times_its_length(text: str) -> None:
    assert len(redact(text)) <= 3 * len(text)


HOSTILE: Final = (
    *("a-", "a_", "a.", "a@", "a@a.", "%40a.", "4111 ", "41", "DE89 ", "://", "a://b:", "http://a:b", "a:bbb@c:"),
    *("eyJ-", "eyJ.", "sk-", "sk_", "SG.a", "AKIA", "0:AA", "Q~", f"{'x' * 40} ", "Bearer ", "basic a", "digest a=b, "),
    *("-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "?code=1&", "İ", "\ud800"),
    *(
        "key",
        "password",
        "password=",
        "password='",
        'password="',
        "password=\\",
        "password=(",
        "password=[{",
        "token=a",
    ),
    *("token: ", "token: {", "token: ${", "password: this ", "password is ", "password\n  ", "auth=", "\nauth=(1"),
    *(
        "authorization: a ",
        "authorization: digest a=b,",
        "cookie: a=b;",
        "cookie a=b; ",
        "set-cookie: a",
        "<password>x",
        "<password ",
        "<password><![cdata[",
        "password:\n ",
        'password","value',
        '["password",',
    ),
    *("curl ", "curl -u a:b ", "curl -u 'a:", "netloc='", "scheme='a', netloc='b:c@", "scheme=", "password\u00a0"),
    *("('password', '", "--token ", "name: password value", "password%3D%22", "[REDACTED]", "password=[REDACTED]"),
)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", HOSTILE)
def test_hostile_text_does_not_hang(part: str) -> None:
    """Takes a second at most; quadratic time would take minutes."""
    redact(part * (256_000 // len(part)))


def test_user_adds_names() -> None:
    secrets = build_secrets(names=["badge_number"])
    assert redact("badgeNumber=17, password=x", secrets) == f"badgeNumber={REDACTED}, password={REDACTED}"
    assert redact('"badge-number": "A 17"', secrets) == f'"badge-number": "{REDACTED}"'
    assert is_secret_name("HTTP_BADGE_NUMBER", secrets)
    assert is_secret_name("password", secrets)
    assert not is_secret_name("badge_number")


def test_user_adds_patterns() -> None:
    secrets = build_secrets(patterns=[r"\bEMP-[0-9]{6}\b", "x*"])
    assert redact("EMP-123456 and EMP-12", secrets) == f"{REDACTED} and EMP-12"


def test_invalid_pattern_is_rejected() -> None:
    with pytest.raises(re.error):
        build_secrets(patterns=["("])


def test_usual_secrets_are_value_of_their_own() -> None:
    assert isinstance(build_secrets(), Secrets)
    assert redact("badge_number=17", build_secrets()) == "badge_number=17"
