// Says what the right answer is, so that a model can learn it.

import { call, sentence } from "../../api.js";
import { fill, h, say } from "../../dom.js";

/** @typedef {import("./asking.js").Asked} Asked */
/** @typedef {import("./passage.js").Span} Span */

/** @type {Promise<boolean> | null} */
let kept = null;

/** Whether this server keeps corrections. Raises ApiError. */
export function keepsCorrections() {
  kept ??= call("info").then(
    (got) => got.value.corrections === true,
    (error) => {
      kept = null;
      throw error;
    },
  );
  return kept;
}

document.addEventListener("trifold:back", () => (kept = null)); // it may have been started with other settings

/** The row under an answer with which it is confirmed or corrected. */
export class Correcting {
  constructor() {
    this.element = h("div", { class: "correct", hidden: true });
    /** @type {Asked | null} */
    this.asked = null;
    this.chosen = 0;
    /** @type {{ passage: number, span: Span } | null} */
    this.selection = null;
  }

  /**
   * @param {Asked} asked
   * @param {number} chosen
   */
  async about(asked, chosen) {
    if (asked !== this.asked) this.selection = null;
    this.asked = asked;
    this.chosen = chosen;
    const offered = await keepsCorrections().catch(() => false);
    if (this.asked !== asked) return;
    this.element.hidden = !offered;
    this.#offer();
  }

  /**
   * Words of a passage were selected.
   *
   * @param {number} passage
   * @param {Span | null} span
   */
  select(passage, span) {
    if (!this.asked) return;
    this.selection = span && { passage, span };
    this.#offer();
  }

  #offer() {
    const asked = this.asked;
    if (!asked) return;
    const selection = this.selection;
    const answer = asked.reply.answers[this.chosen];
    const none = h("button", { type: "button", onclick: () => this.#save(asked.passages.map((_, index) => ({ passage: index, answers: [] }))) }, asked.reply.answers.length || selection ? (asked.passages.length > 1 ? "The passages do not say" : "The passage does not say") : "Yes, it does not say");
    if (selection) {
      const { passage, span } = selection;
      fill(
        this.element,
        h("h3", {}, "Are these the right words?"),
        h("p", { class: "chosen" }, h("bdi", { dir: "auto" }, span.text.length > 300 ? `${span.text.slice(0, 300)} …` : span.text)),
        h("div", { class: "row" }, h("button", { type: "button", class: "primary", onclick: () => this.#save([{ passage, answers: [span] }]) }, "Save as the right answer"), none),
      );
      return;
    }
    fill(
      this.element,
      h("h3", {}, "Is that right?"),
      h(
        "div",
        { class: "row" },
        answer && h("button", { type: "button", onclick: () => this.#save([{ passage: answer.passage, answers: [{ text: answer.text, start: answer.start, end: answer.end }] }]) }, "Yes, it is"),
        none,
      ),
      h("p", { class: "note" }, "Or select the right words in the passage: with the mouse, a finger, or Shift and the arrow keys."),
    );
  }

  /** @param {readonly { passage: number, answers: Span[] }[]} right */
  async #save(right) {
    const asked = this.asked;
    if (!asked) return;
    const best = asked.reply.answers[0];
    const predicted = best ? { text: best.text, score: best.score } : { text: "", score: asked.reply.no_answer_score };
    for (const button of this.element.querySelectorAll("button")) button.disabled = true;
    const saved = [];
    try {
      for (const { passage, answers } of right) {
        const json = { question: asked.reply.question, passage: asked.passages[passage], answers, predicted, model: asked.reply.model };
        saved.push((await call("v1/corrections", { json })).value);
      }
      document.dispatchEvent(new CustomEvent("trifold:corrected"));
      if (this.asked !== asked) return;
      this.selection = null;
      this.#saved(asked, saved);
    } catch (error) {
      const some = saved.length ? ` ${saved.length} of ${right.length} were saved; saving again does no harm.` : "";
      if (this.asked !== asked) return say(sentence(error) + some);
      this.#offer();
      this.element.append(h("p", { class: "problem", role: "alert" }, sentence(error) + some));
    }
  }

  /**
   * @param {Asked} asked
   * @param {readonly { id: string, revision: number, replaced: boolean, answers: Span[] }[]} saved
   */
  #saved(asked, saved) {
    const first = saved[0];
    const words = first?.answers[0]?.text;
    const replaced = saved.some((one) => one.replaced);
    const none = saved.length > 1 ? "Saved: the passages do not say." : "Saved: the passage does not say.";
    const undo = h("button", {
      type: "button",
      class: "quiet",
      onclick: async () => {
        try {
          for (const one of saved) await call(`v1/corrections/${one.id}?revision=${one.revision}`, { method: "DELETE" });
          say("The correction is taken back.");
          document.dispatchEvent(new CustomEvent("trifold:corrected"));
          if (this.asked !== asked) return;
          this.#offer();
          this.element.querySelector("button")?.focus();
        } catch (error) {
          say(sentence(error));
        }
      },
    }, "Take it back");
    const done = h("p", { class: "saved", role: "status", tabIndex: -1 }, words === undefined ? none : "Saved: ", words !== undefined && h("bdi", { dir: "auto" }, `“${words}”`), replaced ? " It takes the place of the earlier correction. " : " ");
    fill(this.element, done, h("div", { class: "row" }, h("a", { href: "#corrections" }, "See all corrections"), !replaced && undo));
    done.focus();
  }
}
