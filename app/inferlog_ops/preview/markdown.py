"""Markdown as a tree of plain values: the page creates elements from it and never parses markup."""

import re
from collections.abc import Callable
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

Node = dict[str, Any]

# HTML in a dashboard file is shown as text.
_PARSER: Final = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_ELEMENTS: Final = {
    "paragraph": "p",
    "bullet_list": "ul",
    "ordered_list": "ol",
    "list_item": "li",
    "blockquote": "blockquote",
    "strong": "strong",
    "em": "em",
    "s": "s",
    "hr": "hr",
    "hardbreak": "br",
    "table": "table",
    "thead": "thead",
    "tbody": "tbody",
    "tr": "tr",
    "th": "th",
    "td": "td",
}
_LEAVES: Final[dict[str, Callable[[SyntaxTreeNode], Node]]] = {
    "text": lambda node: {"text": node.content},
    "text_special": lambda node: {"text": node.content},
    "softbreak": lambda _: {"text": " "},
    "code_inline": lambda node: {"element": "code", "children": [{"text": node.content}]},
    "fence": lambda node: {"element": "pre", "children": [{"text": node.content}]},
    "code_block": lambda node: {"element": "pre", "children": [{"text": node.content}]},
    # The alternative text: the page loads nothing from the network.
    "image": lambda node: {"text": node.content},
}
_KIBANA_DASHBOARD: Final = re.compile(r"(?:/app/dashboards)?(#/view/[a-z0-9_-]{1,250})")
_OUTSIDE: Final = ("https://", "http://")


def parse_markdown(markdown: str) -> list[Node]:
    """
    Return *markdown* as nodes.

    A node is ``{"text": …}`` or ``{"element": …, "children": […]}`` with ``href`` at an ``a``. Elements are the few
    of `_ELEMENTS`, headings, ``code``, ``pre`` and ``a``. Only links to dashboards and to http(s) are kept;
    of any other link, only the text remains.
    """
    return _convert_children(SyntaxTreeNode(_PARSER.parse(markdown)))


def _convert_children(parent: SyntaxTreeNode) -> list[Node]:
    return [node for child in parent.children for node in _convert_node(child)]


def _convert_node(node: SyntaxTreeNode) -> list[Node]:
    if node.type in _LEAVES:
        return [_LEAVES[node.type](node)]
    children = _convert_children(node)
    if node.type == "link":
        href = _find_target(str(node.attrs.get("href", "")))
        return [{"element": "a", "href": href, "children": children}] if href else children
    element = node.tag if node.type == "heading" else _ELEMENTS.get(node.type)
    # A paragraph in a tight list is hidden.
    return [{"element": element, "children": children}] if element and not node.hidden else children


def _find_target(address: str) -> str | None:
    """Return the target of an allowed link: a dashboard of this page, or an http(s) URL."""
    dashboard = _KIBANA_DASHBOARD.fullmatch(address)
    if dashboard:
        return dashboard[1]
    return address if address.startswith(_OUTSIDE) else None
