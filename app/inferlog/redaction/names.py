"""Which names hold a secret, whatever its value looks like: ``api_key``, ``db.password``, ``X-Auth-Token``."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from string import ascii_lowercase, digits
from typing import Final


def _tail(pattern: str) -> re.Pattern[str]:
    """Compile how a word goes on; the name may end in a number or in what the value is: ``password_hash``."""
    return re.compile(rf"{pattern}(?:[_-]?(?:hash|value|[0-9]{{1,2}}))?(?![a-z0-9_])(?!-[a-z0-9])")


def _listed(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_NO_TAIL: Final = _tail("")


class Confidence(Enum):
    """How sure a word is that the value beside it is a secret."""

    HIGH = auto()
    """Every value is, unless it is plain prose: ``password=x``."""
    MEDIUM = auto()
    """Not a short value and not a number: ``token: 17`` counts something."""
    LOW = auto()
    """Only one in quotes or brackets, or one that mixes letters and digits: ``auth=('app', 'hunter2')``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """
    A word that makes a name secret.

    Attributes:
        core: How it begins, in lower case: what a text is searched for.
        tail: How it goes on.
        trust: How sure it is.
        after: It counts only behind one of these: ``key`` behind ``api``, as in ``myApiKey``.
        never_after: It does not count behind one of these, whole: ``token`` behind ``eos``.
        never_behind: It does not count right behind one of these characters: ``otp``, not ``laptop``.
    """

    core: str
    tail: re.Pattern[str] = _NO_TAIL
    trust: Confidence = Confidence.HIGH
    after: tuple[str, ...] = ()
    never_after: frozenset[str] = frozenset()
    never_behind: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """Where a secret's name stands in a text: *start* and *end* of the word that makes it one."""

    start: int
    end: int
    word: Word


_ALPHANUMERIC: Final = ascii_lowercase + digits
_BETWEEN: Final = "_-. "
_LONGEST_OWNER_CHARACTERS: Final = 16
_KEY_OWNERS: Final = _listed("""
    access account admin aes api app application auth client consumer cookie deploy encryption fernet functions hmac jwt
    license master private rsa secret session shared signing ssh subscription webhook
    anthropic azure cohere datadog deepseek elastic gemini google groq hf huggingface mistral openai openrouter pinecone
    stripe wandb
""")
_PASS_OWNERS: Final = _listed("""
    admin auth cert database db email ftp http imap ldap mail mongo mongodb mysql pg postgres postgresql proxy rabbitmq
    redis root sftp smtp ssh ssl sudo user
""")
# Of a text that is read or written, of a page of results, of a parser's complaint. "tokens" is never a secret.
_OTHER_TOKENS: Final = frozenset(
    _listed("""
        audio bos cls completion continuation decoder each end eos every first image input last mask max min next output
        pad page per prompt reasoning sep special start stop thinking total unexpected unk video
    """)
)

_WORDS: Final = (
    Word(core="pass", tail=_tail("(?:words?|wd|phrases?|codes?)")),
    Word(core="pass", after=_PASS_OWNERS),
    Word(core="pass", trust=Confidence.LOW, never_behind=_ALPHANUMERIC + "_-."),  # not forward_pass
    Word(core="pwd"),
    Word(core="secret", tail=_tail("s?")),
    Word(core="token", trust=Confidence.MEDIUM, never_after=_OTHER_TOKENS),
    Word(core="key", tail=_tail("s?"), after=_KEY_OWNERS),
    Word(core="authorization"),
    Word(core="auth", trust=Confidence.LOW, never_behind=_ALPHANUMERIC),
    Word(core="cookie", tail=_tail("s?"), trust=Confidence.MEDIUM),
    Word(core="credential", tail=_tail("s?"), trust=Confidence.MEDIUM),
    # A browser's session as frameworks spell it. "session_id" is no such word: many services name a chat so.
    Word(core="sess", tail=_tail("(?:ion)?id"), trust=Confidence.MEDIUM),
    Word(core="jwt", trust=Confidence.MEDIUM, never_behind=_ALPHANUMERIC),
    Word(core="srf", trust=Confidence.MEDIUM, after=("c", "x")),
    Word(core="otp", tail=_tail("(?:_?code)?"), never_behind=_ALPHANUMERIC),
    Word(core="cv", tail=_tail("(?:v2?|c2?)"), never_behind=_ALPHANUMERIC),
)


Words = Mapping[str, tuple[Word, ...]]
"""Words by how they begin, so that a text is searched once for all that begin alike."""


def _by_core(words: Iterable[Word]) -> Words:
    by_core: dict[str, tuple[Word, ...]] = {}
    for word in words:
        by_core[word.core] = (*by_core.get(word.core, ()), word)
    return by_core


WORDS: Final = _by_core(_WORDS)


def words_with(names: Iterable[str]) -> Words:
    """Return the usual words and the *names* of a user in every usual spelling: ``badge_number``, ``badgeNumber``."""
    parts = [re.split(r"[_. -]|(?<=[a-z0-9])(?=[A-Z])", name) for name in names]
    cores = dict.fromkeys(between.join(words).lower() for words in parts for between in ("", *_BETWEEN))
    return _by_core((*_WORDS, *(Word(core=core) for core in cores if core)))


def secret_names(lowered: str, words: Words) -> Iterator[Name]:
    """Yield where *lowered*, a text in lower case, has a name that one of *words* makes secret."""
    for core in [core for core in words if core in lowered]:
        start = lowered.find(core)
        while start >= 0:
            end = start + len(core)
            for word in words[core]:
                tail = word.tail.match(lowered, end)
                if tail is not None and _counts(word, lowered, start):
                    yield Name(start, tail.end(), word)
                    break
            start = lowered.find(core, end)


def _counts(word: Word, lowered: str, start: int) -> bool:
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
