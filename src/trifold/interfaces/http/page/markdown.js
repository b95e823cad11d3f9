// Markdown as elements: only what is named here is made, so that no text of a card can become anything else.

import { h } from "./dom.js";
import { lexer } from "./vendor/marked.esm.js";

/** @typedef {import("./vendor/marked.esm.js").Token} Token */
/** @typedef {import("./vendor/marked.esm.js").Tokens.Table} Table */
/** @typedef {import("./vendor/marked.esm.js").Tokens.TableCell} Cell */
/** @typedef {import("./vendor/marked.esm.js").Tokens.List} List */

/**
 * A document. Its headings stand below those of the page: `#` is an h3.
 *
 * @param {string} text
 */
export function markdown(text) {
  return h("div", { class: "markdown" }, ...nodes(lexer(text.replace(/^---\n[\s\S]*?\n---\n/, ""))));
}

/**
 * @param {readonly Token[] | undefined} tokens
 * @returns {(Node | string)[]}
 */
function nodes(tokens) {
  return (tokens ?? []).map(node);
}

/**
 * @param {Token} token
 * @returns {Node | string}
 */
function node(token) {
  const inner = () => ("tokens" in token && token.tokens ? nodes(token.tokens) : ["text" in token ? unescaped(String(token.text)) : ""]);
  switch (token.type) {
    case "heading":
      return h(token["depth"] === 1 ? "h3" : token["depth"] === 2 ? "h4" : "h5", {}, ...inner());
    case "paragraph":
      return h("p", {}, ...inner());
    case "blockquote":
      return h("blockquote", {}, ...inner());
    case "list": {
      const list = /** @type {List} */ (token);
      return h(list.ordered ? "ol" : "ul", {}, ...list.items.map((item) => h("li", {}, ...nodes(item.tokens))));
    }
    case "table": {
      const table = /** @type {Table} */ (token);
      return scrolling(table.header, table.rows);
    }
    case "code":
      return h("pre", {}, h("code", {}, token["text"]));
    case "codespan":
      return h("code", {}, unescaped(token["text"]));
    case "strong":
      return h("strong", {}, ...inner());
    case "em":
      return h("em", {}, ...inner());
    case "del":
      return h("s", {}, ...inner());
    case "br":
      return h("br");
    case "hr":
      return h("hr");
    case "space":
    case "def":
      return "";
    case "link":
      return link(String(token["href"]), inner());
    case "image":
      return String(token["text"]);
    case "text":
    case "escape":
      return "tokens" in token && token.tokens ? h("span", {}, ...inner()) : unescaped(String(token["text"]));
    default: // HTML is shown as it is written
      return token.raw;
  }
}

/**
 * @param {readonly Cell[]} head
 * @param {readonly (readonly Cell[])[]} rows
 */
function scrolling(head, rows) {
  return h(
    "div",
    { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Table" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...head.map((cell) => h("th", { scope: "col" }, ...nodes(cell.tokens))))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, ...nodes(cell.tokens)))))),
    ),
  );
}

/**
 * @param {string} address
 * @param {(Node | string)[]} children
 */
function link(address, children) {
  if (!/^https?:\/\//.test(address)) return h("span", {}, ...children);
  return h("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, ...children);
}

/**
 * The lexer leaves character references as they are; text without them needs no parser.
 *
 * @param {string} text
 */
function unescaped(text) {
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" })[/** @type {"amp"} */ (name)]);
}
