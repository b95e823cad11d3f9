// Two models on the same question, with what they do not agree on marked.

import { models, sentence } from "../../api.js";
import { fill, h, percent } from "../../dom.js";
import { ask } from "./asking.js";
import { draft } from "./draft.js";
import { unpacked } from "./link.js";
import { Passages } from "./passages.js";
import { questionField, questionForm } from "./question.js";
import { head, timing, warnings } from "./reply.js";

/** @typedef {import("./asking.js").Asked} Asked */
/** @typedef {import("../../api.js").Model} Model */

/** The view in which models are compared. */
export class Compare {
  constructor() {
    /** @type {AbortController | null} */
    this.running = null;
    this.linked = "";
    this.question = questionField("compared-question", "A question for both", () => (this.linked = ""), () => this.submit());
    this.passages = new Passages({ changed: () => this.#changed() });
    this.selects = /** @type {const} */ ([h("select", { id: "model-a" }), h("select", { id: "model-b" })]);
    this.button = h("button", { type: "submit", class: "primary" }, "Compare");
    this.problem = h("div", { role: "alert" });
    this.verdict = h("div", { "aria-live": "polite" });
    this.replies = h("div", { class: "pair" });
    this.few = h(
      "p",
      { class: "warning", hidden: true },
      "Only one model is served, so there is nothing to compare it with. Start the server with two: ",
      h("code", {}, "trifold serve --model default --model mine"),
    );
    const choice = (/** @type {"a" | "b"} */ kind, /** @type {HTMLSelectElement} */ select) =>
      h("span", { class: "choice" }, h("label", { for: select.id, class: kind }, kind.toUpperCase()), select);
    const choices = h("div", { class: "row" }, choice("a", this.selects[0]), choice("b", this.selects[1]), this.button);
    const form = questionForm(this.question, () => this.submit(), choices, this.problem);
    this.element = h(
      "section",
      { class: "compare", "aria-label": "Compare" },
      h("h1", {}, "Compare two models"),
      h("p", { class: "lead" }, "Both answer the same question about the same text. What only one of them quotes is marked in its colour."),
      this.few,
      h("div", { class: "columns" }, this.passages.element, h("div", { class: "side" }, form, this.verdict, this.replies)),
    );
    document.addEventListener("trifold:back", () => this.#models());
  }

  /** @param {string} rest */
  async show(rest) {
    await this.#models();
    if (!rest) this.#take();
    if (!rest || rest === this.linked) return;
    this.linked = rest;
    try {
      const screen = await unpacked(rest);
      this.passages.texts = screen.passages;
      this.question.value = screen.question;
      if (screen.models?.[0]) this.selects[0].value = screen.models[0];
      if (screen.models?.[1]) this.selects[1].value = screen.models[1];
      await this.submit();
    } catch (error) {
      fill(this.problem, h("p", { class: "problem" }, sentence(error)));
    }
  }

  /** Begin with what was last asked. */
  #take() {
    const last = draft();
    if (!last || this.question.value || this.passages.texts.length) return;
    this.question.value = last.question.split("\n")[0] ?? "";
    this.passages.texts = last.passages;
  }

  async submit() {
    const [question, texts] = [this.question.value.trim(), this.passages.texts];
    fill(this.problem);
    if (!texts.length || !question) {
      fill(this.problem, h("p", { class: "problem" }, texts.length ? "Type a question first." : "Paste a text first, or come here from an answer by “Compare models”."));
      return texts.length ? this.question.focus() : this.passages.focus();
    }
    this.running?.abort();
    const running = (this.running = new AbortController());
    this.button.disabled = true;
    try {
      const [a, b] = await Promise.all(this.selects.map((select) => ask(question, texts, select.value, running.signal)));
      if (a && b && this.running === running) this.#shown(a, b);
    } catch (error) {
      if (this.running === running && !(error instanceof DOMException && error.name === "AbortError")) fill(this.problem, h("p", { class: "problem" }, sentence(error)));
    } finally {
      if (this.running === running) this.button.disabled = false;
    }
  }

  /**
   * @param {Asked} a
   * @param {Asked} b
   */
  #shown(a, b) {
    this.passages.read((index) => [...mark(a, "a", index), ...mark(b, "b", index)]);
    fill(this.verdict, h("p", { class: "card verdict" }, difference(a, b)));
    fill(this.replies, ...[a, b].map((asked, index) => this.#card(asked, index)));
    const place = (a.reply.answers[0] ?? b.reply.answers[0])?.passage ?? 0;
    this.passages.reveal(place);
  }

  /**
   * @param {Asked} asked
   * @param {number} index
   */
  #card(asked, index) {
    const name = index ? "B" : "A";
    const others = asked.reply.answers.length > 1 ? asked.shown.slice(1) : [];
    return h(
      "div",
      { class: `card ${index ? "b" : "a"}` },
      h("h2", {}, `${name}: ${asked.body.model ?? asked.reply.model}`),
      head(asked, 0, () => this.passages.reveal(asked.shown[0]?.passage ?? 0, true)),
      ...warnings(asked),
      others.length > 0 && h("h3", {}, "What else it could be"),
      others.length > 0 && h("ol", {}, ...others.map((answer) => h("li", {}, h("bdi", { dir: "auto" }, answer.text), h("span", { class: "note" }, ` ${percent(answer.score)}`)))),
      timing(asked),
    );
  }

  #changed() {
    this.linked = "";
    this.running?.abort(); // the replies would be about another text
    this.running = null;
    this.button.disabled = false;
    this.passages.write();
    fill(this.verdict);
    fill(this.replies);
  }

  async #models() {
    try {
      /** @type {Model[]} */
      const own = (await models()).filter((model) => model.task === "qa");
      this.selects.forEach((select, index) => {
        const before = select.value;
        fill(select, ...own.map((model) => h("option", { value: model.name }, `${model.name} (${model.version})`)));
        const known = own.some((model) => model.name === before);
        select.value = known ? before : (own[Math.min(index, own.length - 1)]?.name ?? "");
      });
      this.few.hidden = own.length !== 1;
    } catch (error) {
      fill(this.problem, h("p", { class: "problem" }, sentence(error)));
    }
  }
}

/**
 * The answer of one model, where it stands in this passage.
 *
 * @param {Asked} asked
 * @param {"a" | "b"} kind
 * @param {number} passage
 */
function mark(asked, kind, passage) {
  const best = asked.reply.answers[0];
  if (!best || best.passage !== passage) return [];
  return [{ start: best.start, end: best.end, kind: `${kind} best`, label: `${kind.toUpperCase()}, ${percent(best.score)}` }];
}

/**
 * @param {Asked} a
 * @param {Asked} b
 */
function difference(a, b) {
  const [x, y] = [a.reply.answers[0], b.reply.answers[0]];
  if (a.reply.verdict && b.reply.verdict && a.reply.verdict.text !== b.reply.verdict.text) return "They contradict each other.";
  if (!x && !y) return "Both find that the text does not say.";
  if (!x) return "Only B finds an answer.";
  if (!y) return "Only A finds an answer.";
  if (x.passage === y.passage && x.start === y.start && x.end === y.end) {
    const gap = Math.round(100 * Math.abs(x.score - y.score));
    return gap ? `Both quote the same words; their scores are ${gap} points apart.` : "Both quote the same words, and are as sure of them.";
  }
  if (x.passage === y.passage && x.start < y.end && y.start < x.end) return "They quote the same place, but not the same words.";
  if (x.text === y.text) return "Both quote the same words, at different places.";
  return "They quote different places.";
}
