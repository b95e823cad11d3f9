// The questions that were asked, each with its answer in short.

import { h } from "../../dom.js";

/** @typedef {import("./asking.js").Asked} Asked */

/**
 * @param {readonly Asked[]} entries  the last one first
 * @param {Asked | null} current  the one that is looked at
 * @param {(asked: Asked) => void} open
 * @param {() => void} clear
 */
export function history(entries, current, open, clear) {
  const items = entries.map((asked) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", "aria-pressed": String(asked === current), onclick: () => open(asked) },
        h("bdi", { dir: "auto" }, asked.reply.question),
        h("bdi", { dir: "auto", class: asked.reply.answers.length ? "short" : "short none" }, inShort(asked)),
      ),
    ),
  );
  const clearing = h("button", { type: "button", class: "quiet", onclick: clear }, "Clear");
  return h("div", { class: "card history" }, h("div", { class: "row" }, h("h2", {}, "Your questions"), h("span", { class: "space" }), clearing), h("ol", {}, ...items));
}

/** @param {Asked} asked */
function inShort({ reply }) {
  if (reply.verdict) return reply.verdict.text === "yes" ? "Yes" : "No";
  return reply.answers[0]?.text ?? "does not say";
}
