"""Names of secrets, independent of their values: ``api_key``, ``db.password``, ``X-Auth-Token``."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from string import ascii_lowercase, digits
from typing import Final


def _compile_tail(pattern: str) -> re.Pattern[str]:
    """Compile the continuation of a word; the name may end in a number or a kind of value: ``password_hash``."""
    return re.compile(rf"{pattern}(?:[_-]?(?:hash|value|[0-9]{{1,2}}))?(?![a-z0-9_])(?!-[a-z0-9])")


def _split(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_NO_TAIL: Final = _compile_tail("")
_COPY: Final = "(?:[_-]?(?:again|base|confirm(?:ation)?|current|new|old|previous|repeat(?:ed)?))?"  # password_old


class Confidence(Enum):
    """Confidence that the value of a name with this word is a secret."""

    HIGH = auto()
    """Any value except plain prose: ``password=x``."""
    MEDIUM = auto()
    """Any value except a short one or a number: ``token: 17`` is a count."""
    LOW = auto()
    """Only a value in quotes or brackets, or with letters and digits: ``auth=('app', 'hunter2')``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """
    A word that makes a name secret.

    Attributes:
        core: Start of the word in lower case, the string searched for.
        tail: Pattern of the continuation.
        confidence: Confidence that the value is a secret.
        after: Matches only after one of these: ``key`` after ``api``, as in ``myApiKey``.
        never_after: Does not match after one of these whole words: ``token`` after ``eos``.
        never_behind: Does not match directly after one of these characters: ``otp``, not ``laptop``.
    """

    core: str
    tail: re.Pattern[str] = _NO_TAIL
    confidence: Confidence = Confidence.HIGH
    after: tuple[str, ...] = ()
    never_after: frozenset[str] = frozenset()
    never_behind: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """Position of a secret name in a text: *start* and *end* of its :class:`Word`."""

    start: int
    end: int
    word: Word


_ALPHANUMERIC: Final = ascii_lowercase + digits
_BETWEEN: Final = "_-. "
_LONGEST_OWNER_CHARACTERS: Final = 16
_KEY_OWNERS: Final = _split("""
    access account admin aes api app application auth client consumer cookie deploy encryption fernet functions hmac jwt
    license master private rsa secret session shared signing ssh subscription webhook
    anthropic azure cohere datadog deepseek elastic gemini google groq hf huggingface mistral openai openrouter pinecone
    stripe wandb
""")
_PASS_OWNERS: Final = _split("""
    admin auth cert database db email ftp http imap ldap mail mongo mongodb mysql pg postgres postgresql proxy rabbitmq
    redis root sftp smtp ssh ssl sudo user
""")
# Words before "token" that make it a count or a text token, not a credential. The plural is never secret.
_OTHER_TOKENS: Final = frozenset(
    _split("""
        audio bos cls completion continuation decoder each end eos every first image input last mask max min next output
        pad page per prompt reasoning sep special start stop thinking total unexpected unk video
    """)
)

_WORDS: Final = (
    Word(core="pass", tail=_compile_tail(f"(?:words?|wd|phrases?|codes?){_COPY}")),
    Word(core="pass", after=_PASS_OWNERS),
    Word(core="pass", confidence=Confidence.LOW, never_behind=_ALPHANUMERIC + "_-."),  # not forward_pass
    Word(core="pwd", tail=_compile_tail(_COPY)),
    Word(core="secret", tail=_compile_tail(f"s?{_COPY}")),
    Word(core="token", confidence=Confidence.MEDIUM, never_after=_OTHER_TOKENS),
    Word(core="key", tail=_compile_tail(f"s?{_COPY}"), after=_KEY_OWNERS),
    Word(core="authorization"),
    Word(core="auth", confidence=Confidence.LOW, never_behind=_ALPHANUMERIC),
    Word(core="cookie", tail=_compile_tail("s?"), confidence=Confidence.MEDIUM),
    Word(core="credential", tail=_compile_tail("s?"), confidence=Confidence.MEDIUM),
    # A browser session as spelled by frameworks. "session_id" is excluded: many services use it for a chat.
    Word(core="sess", tail=_compile_tail("(?:ion)?id"), confidence=Confidence.MEDIUM),
    Word(core="jwt", confidence=Confidence.MEDIUM, never_behind=_ALPHANUMERIC),
    Word(core="srf", confidence=Confidence.MEDIUM, after=("c", "x")),
    Word(core="otp", tail=_compile_tail("(?:_?code)?"), never_behind=_ALPHANUMERIC),
    Word(core="cv", tail=_compile_tail("(?:v2?|c2?)"), never_behind=_ALPHANUMERIC),
)


Words = Mapping[str, tuple[Word, ...]]
"""Words by core, so that a text is searched once per core."""


def _group_by_core(words: Iterable[Word]) -> Words:
    by_core: dict[str, tuple[Word, ...]] = {}
    for word in words:
        by_core[word.core] = (*by_core.get(word.core, ()), word)
    return by_core


WORDS: Final = _group_by_core(_WORDS)


def build_words(names: Iterable[str]) -> Words:
    """Return the default words and the user's *names* in every common spelling: ``badge_number``, ``badgeNumber``."""
    parts = [re.split(r"[_. -]|(?<=[a-z0-9])(?=[A-Z])", name) for name in names]
    cores = dict.fromkeys(between.join(words).lower() for words in parts for between in ("", *_BETWEEN))
    return _group_by_core((*_WORDS, *(Word(core=core) for core in cores if core)))


def find_secret_names(lowered: str, words: Words) -> Iterator[Name]:
    """Yield the secret names in *lowered*, a text in lower case, according to *words*."""
    for core in [core for core in words if core in lowered]:
        start = lowered.find(core)
        while start >= 0:
            end = start + len(core)
            for word in words[core]:
                tail = word.tail.match(lowered, end)
                if tail is not None and _matches_context(word, lowered, start):
                    yield Name(start, tail.end(), word)
                    break
            start = lowered.find(core, end)


def _matches_context(word: Word, lowered: str, start: int) -> bool:
    if not start:
        return not word.after
    if lowered[start - 1] in word.never_behind:
        return False
    if not word.after and not word.never_after:
        return True
    between = 1 if lowered[start - 1] in _BETWEEN else 0
    before = lowered[max(0, start - between - _LONGEST_OWNER_CHARACTERS) : start - between]
    if word.after:
        return before.endswith(word.after)
    return before[len(before.rstrip(_ALPHANUMERIC)) :] not in word.never_after
