// Text. The server has read the markdown; elements are made here one by one, so that no markup is ever parsed.

import { h } from "../dom.js";

/** It has no question. */
export const asks = false;

const ELEMENTS = new Set([
  "p",
  "ul",
  "ol",
  "li",
  "blockquote",
  "strong",
  "em",
  "s",
  "hr",
  "br",
  "table",
  "thead",
  "tbody",
  "tr",
  "th",
  "td",
  "code",
  "pre",
  "h1",
  "h2",
  "h3",
  "h4",
  "h5",
  "h6",
  "a",
]);

export function draw(body, { nodes }, _data, page) {
  body.replaceChildren(
    h(
      "div",
      { class: "markdown" },
      nodes.map((node) => made(node, page)),
    ),
  );
}

function made(node, page) {
  if (node.text !== undefined) return node.text;
  const children = node.children.map((child) => made(child, page));
  if (!ELEMENTS.has(node.element)) return children;
  return node.element === "a" ? link(node.href, children, page) : h(node.element, {}, children);
}

function link(href, children, page) {
  const dashboard = /^#\/view\/([a-z0-9_-]+)$/.exec(href)?.[1];
  if (dashboard) return page.linkTo(dashboard, children);
  if (!/^https?:\/\//.test(href)) return children;
  return h("a", { href, target: "_blank", rel: "noopener noreferrer" }, children);
}
