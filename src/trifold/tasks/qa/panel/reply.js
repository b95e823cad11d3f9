// A reply as people read it: the quotation, how sure the model is, and what else it could be.

import { h, percent } from "../../dom.js";
import { inWords } from "./words.js";

/** @typedef {import("./asking.js").Asked} Asked */
/** @typedef {import("./passage.js").Mark} Mark */

/**
 * The marks of a reply in one of its passages, the chosen one first.
 *
 * @param {Asked} asked
 * @param {number} chosen  index of the answer that is looked at
 * @param {number} passage
 * @returns {Mark[]}
 */
export function marks(asked, chosen, passage) {
  const none = !asked.reply.answers.length;
  return asked.shown
    .map((answer, index) => ({ answer, index }))
    .sort((a, b) => Number(b.index === chosen) - Number(a.index === chosen))
    .filter(({ answer }) => answer.passage === passage)
    .map(({ answer, index }) => ({
      start: answer.start,
      end: answer.end,
      kind: none ? "closest best" : index === chosen ? "best" : "other",
      label: none ? "the closest words" : `${index === 0 ? "answer" : `alternative ${index}`}, ${percent(answer.score)}`,
    }));
}

/**
 * How sure, as a bar, in figures and in words.
 *
 * @param {number} score
 * @param {string} meaning
 */
export function gauge(score, meaning) {
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("span", {}));
  bar.style.setProperty("--share", String(score));
  return h("p", { class: "gauge" }, bar, h("strong", {}, percent(score)), ` ${meaning}: ${inWords(score)}`);
}

/**
 * The head of a reply: the answer that is looked at, or that there is none.
 *
 * @param {Asked} asked
 * @param {number} chosen
 * @param {() => void} reveal
 */
export function head(asked, chosen, reveal) {
  const { reply, shown } = asked;
  const answer = shown[chosen];
  const where = asked.passages.length > 1 && answer ? ` in passage ${answer.passage + 1}` : "";
  const quote = answer && h("button", { type: "button", class: "quote", title: "Show it in the passage", onclick: reveal }, h("bdi", { dir: "auto" }, answer.text));
  if (reply.verdict) {
    return h(
      "div",
      {},
      h("p", { class: "verdict" }, reply.verdict.text === "yes" ? "Yes" : "No"),
      gauge(reply.verdict.score, "that this is right"),
      quote && h("p", {}, "It rests on: ", quote),
    );
  }
  if (!reply.answers.length) {
    const plural = asked.passages.length > 1;
    return h(
      "div",
      {},
      h("p", { class: "verdict" }, plural ? "The passages do not say." : "The passage does not say."),
      reply.no_answer_score !== null && gauge(reply.no_answer_score, plural ? "that they do not" : "that it does not"),
      quote && h("p", { class: "note" }, `The closest words${where}: `, quote),
    );
  }
  return h("div", {}, quote && h("p", { class: "answer" }, quote), answer && gauge(answer.score, "that this is right"), where && h("p", { class: "note" }, `It stands${where}.`));
}

/**
 * The other answers, each to look at.
 *
 * @param {Asked} asked
 * @param {number} chosen
 * @param {(index: number) => void} choose
 */
export function alternatives(asked, chosen, choose) {
  const { reply, shown } = asked;
  if (reply.answers.length < 2 || shown.length < 2) return null;
  const buttons = shown.map((answer, index) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", "aria-pressed": String(index === chosen), onclick: () => choose(index) },
        h("bdi", { dir: "auto" }, answer.text),
        h("span", { class: "score" }, percent(answer.score)),
      ),
    ),
  );
  const step = (/** @type {number} */ by) => choose((chosen + by + shown.length) % shown.length);
  const list = h("ol", { class: "alternatives" }, ...buttons);
  list.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    step(by);
  });
  return h(
    "div",
    { class: "others" },
    h(
      "div",
      { class: "row" },
      h("h3", {}, "What else it could be"),
      h("span", { class: "space" }),
      h("button", { type: "button", class: "quiet", "aria-label": "The answer before", onclick: () => step(-1) }, "‹"),
      h("span", { class: "note" }, `${chosen + 1} of ${shown.length}`),
      h("button", { type: "button", class: "quiet", "aria-label": "The next answer", onclick: () => step(1) }, "›"),
    ),
    list,
  );
}

/** @param {Asked} asked */
export function warnings(asked) {
  return asked.reply.warnings.map((text) => h("p", { class: "warning" }, text.charAt(0).toUpperCase() + text.slice(1)));
}

/** @param {Asked} asked */
export function timing(asked) {
  const inside = asked.serverMs === null ? "" : `, ${Math.round(asked.serverMs)} ms of them in the server`;
  return h("p", { class: "note" }, `${asked.reply.model} answered in ${Math.round(asked.ms)} ms${inside}.`);
}
