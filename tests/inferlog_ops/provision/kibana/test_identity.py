"""How an object is known again, and how it is named for a namespace."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.provision.desired import Stamp
from inferlog_ops.provision.kibana.identity import (
    build_object_id,
    build_object_uuid,
    format_mark,
    parse_mark,
    replace_ids,
)

documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
BASES = {"inferlog-overview", "inferlog-canary"}


@given(st.text(), documents)
def test_mark_is_found_in_any_text(text: str, document: Any) -> None:
    stamp = Stamp.from_content("dashboards/inferlog-canary.json", document)
    before = "" if parse_mark(text) else text
    found = parse_mark(f"{before} {format_mark(stamp)} and what somebody wrote behind it")
    assert found is not None
    assert stamp.matches(found)


def test_text_without_a_mark_has_no_stamp() -> None:
    assert [parse_mark(text) for text in (None, "", "inferlog", "[inferlog]", "[inferlog x 12345]")] == [None] * 5


def test_mark_of_another_content_or_file_does_not_match() -> None:
    stamp = Stamp.from_content("a.json", 1)
    others = [Stamp.from_content("a.json", 2), Stamp.from_content("b.json", 1), Stamp(source="a.json", sha256="")]
    assert [stamp.matches(other) for other in others] == [False] * 3


@given(st.dictionaries(st.text(), st.integers(0, 9), min_size=2))
def test_stamp_ignores_key_order(document: dict[str, int]) -> None:
    assert Stamp.from_content("", document) == Stamp.from_content("", dict(reversed(document.items())))


def test_uuid_is_the_same_at_every_call_and_differs_by_kind_and_name() -> None:
    made = [build_object_uuid(kind, name) for kind in ("rule", "connector") for name in ("a", "b")]
    assert made == [build_object_uuid(kind, name) for kind in ("rule", "connector") for name in ("a", "b")]
    assert len(set(made)) == len(made)


@given(st.lists(st.from_regex(r"[a-z0-9][a-z0-9_.]{0,30}", fullmatch=True), min_size=2, max_size=2, unique=True))
def test_two_namespaces_never_share_an_id(namespaces: list[str]) -> None:
    first, second = (build_object_id("inferlog-overview", each) for each in namespaces)
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
