"""Markdown becomes a tree of a few harmless elements."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.preview.markdown import parse_markdown


def element(name: str, *children: Any, **attributes: str) -> dict[str, Any]:
    nodes = [child if isinstance(child, dict) else {"text": child} for child in children]
    return {"element": name, **attributes, "children": nodes}


@pytest.mark.parametrize(
    ("markdown", "nodes"),
    [
        ("# Head", [element("h1", "Head")]),
        ("**a** *b* `c`", [element("p", element("strong", "a"), " ", element("em", "b"), " ", element("code", "c"))]),
        ("a\nb", [element("p", "a", " ", "b")]),
        ("- a\n- b", [element("ul", element("li", "a"), element("li", "b"))]),
        ("```\n<b>\n```", [element("pre", "<b>\n")]),
        ("| a |\n|---|\n| b |", [
            element("table",
                    element("thead", element("tr", element("th", "a"))),
                    element("tbody", element("tr", element("td", "b")))),
        ]),
        ("[x](#/view/inferlog-canary)", [element("p", element("a", "x", href="#/view/inferlog-canary"))]),
        ("[x](/app/dashboards#/view/some)", [element("p", element("a", "x", href="#/view/some"))]),
        ("[x](https://example.org/a?b=c)", [element("p", element("a", "x", href="https://example.org/a?b=c"))]),
        ("[x](/elsewhere)", [element("p", "x")]),
        ("[x](#/view/../../x)", [element("p", "x")]),
        ("![seen](https://example.org/x.png)", [element("p", "seen")]),
        ("&lt;b&gt; \\*", [element("p", "<", "b", ">", " ", "*")]),
    ],
)  # fmt: skip
def test_elements(markdown: str, nodes: list[dict[str, Any]]) -> None:
    assert joined(parse_markdown(markdown)) == joined(nodes)


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


def joined(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join adjacent texts: the way the parser splits them is irrelevant."""
    result: list[dict[str, Any]] = []
    for node in nodes:
        if node.get("text") == "":
            continue
        if "text" in node and result and "text" in result[-1]:
            result[-1] = {"text": result[-1]["text"] + node["text"]}
        else:
            result.append({**node, "children": joined(node["children"])} if "children" in node else node)
    return result
