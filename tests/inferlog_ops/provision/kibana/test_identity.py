"""How an object is known again, and how it is named for a namespace."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.provision.kibana.identity import append_mark, compute_digest, digest_in, object_id, replace_ids

documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
BASES = {"inferlog-overview", "inferlog-canary"}


@given(st.text(), documents)
def test_mark_is_found_in_any_text(text: str, document: Any) -> None:
    digest = compute_digest(document)
    described = append_mark("" if digest_in(text) else text, "dashboards/inferlog-canary.json", digest)
    assert digest_in(described) == digest
    assert digest_in(f"{described} and what somebody wrote behind it") == digest


def test_text_without_a_mark_has_no_digest() -> None:
    assert [digest_in(text) for text in (None, "", "inferlog", "[inferlog]", "[inferlog x 12345]")] == [None] * 5


@given(st.dictionaries(st.text(), st.integers(0, 9), min_size=2))
def test_digest_ignores_key_order(document: dict[str, int]) -> None:
    assert compute_digest(document) == compute_digest(dict(reversed(document.items())))


@given(st.lists(st.from_regex(r"[a-z0-9][a-z0-9_.]{0,30}", fullmatch=True), min_size=2, max_size=2, unique=True))
def test_two_namespaces_never_share_an_id(namespaces: list[str]) -> None:
    first, second = (object_id("inferlog-overview", each) for each in namespaces)
    assert first != second


def test_references_follow_the_namespace_and_nothing_else_does() -> None:
    body = {
        "dashboard_id": "inferlog-canary",
        "content": "[next](#/view/inferlog-canary?_g=()) and [other](#/view/inferlog-canary-of-mine)",
        "label": "see inferlog-overview",
        "inferlog-overview": ["inferlog-overview", 1, None],
    }
    assert replace_ids("team.a", body, BASES) == {
        "dashboard_id": "inferlog-canary-team-a",
        "content": "[next](#/view/inferlog-canary-team-a?_g=()) and [other](#/view/inferlog-canary-of-mine)",
        "label": "see inferlog-overview",
        "inferlog-overview": ["inferlog-overview-team-a", 1, None],
    }
    assert replace_ids("default", body, BASES) == body
