// The same call from elsewhere, to copy.

import { HOME, key } from "../../api.js";
import { copyButton, h } from "../../dom.js";

/** @typedef {{ question: string, passage?: string, passages?: string[], top_k?: number, model?: string, always_answer?: boolean }} Body */

/** @param {Body} body */
function curl(body) {
  const quoted = (/** @type {string} */ text) => `'${text.replaceAll("'", "'\\''")}'`;
  const own = key() === null ? "" : ` \\\n  -H "Authorization: Bearer $TRIFOLD_API_KEY"`;
  return `curl ${quoted(new URL("v1/answer", HOME).href)} -H 'Content-Type: application/json'${own} \\\n  -d ${quoted(JSON.stringify(body))}`;
}

/** @param {Body} body */
function python(body) {
  // What JSON writes as a text, Python reads as the same text.
  const options = Object.entries({ top_k: body.top_k, model: body.model })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `, ${name}=${JSON.stringify(value)}`)
    .join("");
  const own = key() === null ? "" : "  # the key is read from TRIFOLD_API_KEY";
  return `from trifold import Client

with Client(${JSON.stringify(HOME.href.replace(/\/$/, ""))}) as client:${own}
    reply = client.ask(
        ${JSON.stringify(body.question)},
        ${JSON.stringify(body.passages ?? body.passage)}${options},
    )
print(reply.answers)`;
}

/**
 * @param {Body} body
 * @param {string} raw  the reply
 */
export function snippets(body, raw) {
  const parts = /** @type {const} */ ([
    ["Reply as JSON", () => JSON.stringify(JSON.parse(raw), null, 2)],
    ["curl", () => curl(body)],
    ["Python", () => python(body)],
  ]);
  return h(
    "details",
    { class: "snippets" },
    h("summary", {}, "The same from a program"),
    ...parts.map(([name, text]) => {
      const shown = text();
      return h(
        "div",
        {},
        h("div", { class: "row" }, h("h4", {}, name), h("span", { class: "space" }), copyButton(`Copy ${name}`, () => shown, name)),
        h("pre", { tabIndex: 0, role: "region", "aria-label": name }, h("code", {}, shown.length > 4000 ? `${shown.slice(0, 4000)} … (copying gives all)` : shown)),
      );
    }),
  );
}
