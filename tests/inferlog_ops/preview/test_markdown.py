"""Markdown becomes a tree of a few harmless elements."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.preview.markdown import parse_markdown


def make(name: str, *children: Any, **attributes: str) -> dict[str, Any]:
    nodes = [child if isinstance(child, dict) else {"text": child} for child in children]
    return {"element": name, **attributes, "children": nodes}


@pytest.mark.parametrize(
    ("markdown", "nodes"),
    [
        ("# Head", [make("h1", "Head")]),
        ("**a** *b* `c`", [make("p", make("strong", "a"), " ", make("em", "b"), " ", make("code", "c"))]),
        ("a\nb", [make("p", "a", " ", "b")]),
        ("- a\n- b", [make("ul", make("li", "a"), make("li", "b"))]),
        ("```\n<b>\n```", [make("pre", "<b>\n")]),
        ("| a |\n|---|\n| b |", [
            make("table",
                    make("thead", make("tr", make("th", "a"))),
                    make("tbody", make("tr", make("td", "b")))),
        ]),
        ("[x](#/view/inferlog-canary)", [make("p", make("a", "x", href="#/view/inferlog-canary"))]),
        ("[x](/app/dashboards#/view/some)", [make("p", make("a", "x", href="#/view/some"))]),
        ("[x](https://example.org/a?b=c)", [make("p", make("a", "x", href="https://example.org/a?b=c"))]),
        ("[x](/elsewhere)", [make("p", "x")]),
        ("[x](#/view/../../x)", [make("p", "x")]),
        ("![seen](https://example.org/x.png)", [make("p", "seen")]),
        ("&lt;b&gt; \\*", [make("p", "<", "b", ">", " ", "*")]),
    ],
)  # fmt: skip
def test_elements(markdown: str, nodes: list[dict[str, Any]]) -> None:
    assert join_texts(parse_markdown(markdown)) == join_texts(nodes)


@pytest.mark.parametrize(
    "markdown",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>)",
        "[x](//example.org)",
        "[x](vbscript:x)",
        "<https://example.org> <javascript:alert(1)>",
        "[a]: javascript:alert(1)\n\n[a]",
    ],
)
def test_markdown_never_yields_executable_elements(markdown: str) -> None:
    assert_harmless(parse_markdown(markdown))


@given(st.text(alphabet=st.sampled_from(list("#*_`[]()<>!|-\\&;:/\n ax1javscript\"'")), max_size=60))
def test_any_text_gives_harmless_elements(markdown: str) -> None:
    assert_harmless(parse_markdown(markdown))


def assert_harmless(nodes: list[dict[str, Any]]) -> None:
    for node in nodes:
        if "text" in node:
            assert node.keys() == {"text"}
            continue
        assert node.keys() <= {"element", "href", "children"}
        assert node["element"] not in {"script", "style", "img", "iframe", "svg", "form"}
        assert node.get("href", "https://").startswith(("https://", "http://", "#/view/"))
        assert_harmless(node["children"])


def join_texts(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join adjacent texts: the way the parser splits them is irrelevant."""
    result: list[dict[str, Any]] = []
    for node in nodes:
        if node.get("text") == "":
            continue
        if "text" in node and result and "text" in result[-1]:
            result[-1] = {"text": result[-1]["text"] + node["text"]}
        else:
            result.append({**node, "children": join_texts(node["children"])} if "children" in node else node)
    return result
