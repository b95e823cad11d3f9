// The first view: a passage, a question, the answer in its place.

import { ApiError, HOME, key, models, sentence } from "../../api.js";
import { copy, fill, h, say } from "../../dom.js";
import { go } from "../../shell.js";
import { ask } from "./asking.js";
import { Correcting } from "./correct.js";
import { draft, keep } from "./draft.js";
import { EXAMPLES } from "./examples.js";
import { history } from "./history.js";
import { packed, unpacked } from "./link.js";
import { Passages } from "./passages.js";
import { questionField, questionForm } from "./question.js";
import { alternatives, head, marks, timing, warnings } from "./reply.js";
import { snippets } from "./snippets.js";

/** @typedef {import("./asking.js").Asked} Asked */

/** The view in which questions are asked. */
export class Ask {
  constructor() {
    /** @type {Asked[]}  the last one first */
    this.entries = [];
    /** @type {Asked | null} */
    this.current = null;
    this.chosen = 0;
    /** @type {AbortController | null} */
    this.running = null;
    this.failed = false;
    this.linked = "";
    /** @type {string | null}  the model that a link names */
    this.wanted = null;
    this.correcting = new Correcting();
    this.passages = new Passages({
      changed: () => this.#changed(),
      selected: (passage, span) => this.correcting.select(passage, span),
    });
    const typed = () => {
      this.#unlink();
      this.#draft();
    };
    this.question = questionField("question", "What do you want to know from the text?", typed, () => this.submit());
    this.model = h("select", { id: "model" });
    this.modelRow = h("div", { class: "row", hidden: true }, h("label", { for: "model" }, "Model"), this.model);
    this.button = h("button", { type: "submit", class: "primary" }, "Ask");
    this.stop = h("button", { type: "button", hidden: true, onclick: () => this.running?.abort() }, "Stop");
    this.problem = h("div", { role: "alert" });
    this.reply = h("div", { class: "reply", "aria-live": "polite" });
    this.actions = h("div", {});
    this.card = h("div", { class: "card answer-card", hidden: true }, this.reply, this.correcting.element, this.actions);
    this.list = h("div", {});
    this.element = this.#layOut();
    document.addEventListener("trifold:back", () => this.#back());
    document.addEventListener("trifold:key", () => key() !== null && this.#models());
    this.#restore();
    this.#models();
  }

  #layOut() {
    const keys = h("span", { class: "note" }, h("kbd", {}, "Enter"), " asks. Several lines are several questions (", h("kbd", {}, "Shift"), "+", h("kbd", {}, "Enter"), ").");
    const buttons = h("div", { class: "row" }, this.button, this.stop, keys);
    const form = questionForm(this.question, () => this.submit(), this.modelRow, buttons, this.problem);
    const examples = EXAMPLES.map((example) => h("button", { type: "button", class: "chip", onclick: () => this.open(example.question, example.passages) }, example.title));
    return h(
      "section",
      { class: "ask", "aria-label": "Ask" },
      h("h1", {}, "Ask a text"),
      h("p", { class: "lead" }, "The answer is quoted from your text, word for word, or you hear that the text does not say. Nothing leaves the machine that this server runs on."),
      h("div", { class: "row examples" }, h("span", { class: "note" }, "Try one:"), ...examples),
      h("div", { class: "columns" }, this.passages.element, h("div", { class: "side" }, form, this.card, this.list)),
    );
  }

  /**
   * Put a question and its passages on the screen, and ask.
   *
   * @param {string} question
   * @param {readonly string[]} passages
   */
  open(question, passages) {
    this.passages.texts = [...passages];
    this.question.value = question;
    this.submit();
  }

  /**
   * What stands in the address: the screen of a link.
   *
   * @param {string} rest
   */
  async show(rest) {
    if (!rest || rest === this.linked) return;
    this.linked = rest;
    this.wanted = null;
    try {
      const screen = await unpacked(rest);
      if (screen.models?.[0]) this.wanted = screen.models[0];
      await this.#models();
      this.open(screen.question, screen.passages);
    } catch (error) {
      fill(this.problem, h("p", { class: "problem" }, sentence(error)));
    }
  }

  /** Ask what stands in the field, each line by itself. */
  async submit() {
    const questions = this.question.value.split("\n").map((line) => line.trim()).filter(Boolean);
    const texts = this.passages.texts;
    fill(this.problem);
    this.failed = false;
    if (!texts.length) return this.#missing("There is no text to look in yet. Paste one, open a file, or try an example.", () => this.passages.focus());
    if (!questions.length) return this.#missing("What do you want to know? Type a question first.", () => this.question.focus());
    this.#draft();
    this.running?.abort(); // what nobody waits for any more is not computed
    const running = (this.running = new AbortController());
    const waited = document.activeElement === this.button; // what is disabled loses the focus
    this.button.disabled = true;
    this.stop.hidden = false;
    const began = performance.now();
    const busy = window.setInterval(() => {
      const seconds = Math.floor((performance.now() - began) / 1000);
      this.button.textContent = seconds < 2 ? "Asking …" : `Asking … ${seconds} s`;
      this.element.classList.add("busy");
    }, 250);
    try {
      for (const question of questions) {
        const asked = await ask(question, texts, this.model.value || null, running.signal);
        this.entries = [asked, ...this.entries.filter((other) => other.reply.question !== asked.reply.question || other.passages.join("\0") !== texts.join("\0") || other.reply.model !== asked.reply.model)];
        this.#choose(asked, 0, false);
      }
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") {
        if (this.running === running) say("Stopped.");
      } else if (this.running === running) {
        this.failed = error instanceof ApiError && error.status === 0;
        fill(this.problem, h("p", { class: "problem" }, sentence(error)));
      }
    } finally {
      window.clearInterval(busy);
      if (this.running === running) {
        this.running = null;
        this.button.disabled = false;
        if (document.activeElement === document.body && waited) this.button.focus();
        this.button.textContent = "Ask";
        this.stop.hidden = true;
        this.element.classList.remove("busy");
      }
    }
  }

  /**
   * @param {string} text
   * @param {() => void} then
   */
  #missing(text, then) {
    fill(this.problem, h("p", { class: "problem" }, text));
    then();
  }

  /**
   * Look at one of the answers of a reply.
   *
   * @param {Asked} asked
   * @param {number} chosen
   * @param {boolean} jump
   */
  #choose(asked, chosen, jump) {
    const focused = document.activeElement?.closest(".others") ? document.activeElement : null;
    if (asked.passages.join("\0") !== this.passages.texts.join("\0")) this.passages.texts = asked.passages;
    this.current = asked;
    this.chosen = chosen;
    this.passages.read((index) => marks(asked, chosen, index));
    const reveal = (moved = true) => this.passages.reveal(asked.shown[chosen]?.passage ?? 0, moved);
    const others = alternatives(asked, chosen, (index) => this.#choose(asked, index, true));
    fill(this.reply, h("h2", {}, h("bdi", { dir: "auto" }, asked.reply.question)), head(asked, chosen, reveal), ...warnings(asked), others, timing(asked));
    const label = focused?.getAttribute("aria-label");
    if (focused) /** @type {HTMLElement | null | undefined} */ (others?.querySelector(label ? `[aria-label="${label}"]` : '[aria-pressed="true"]'))?.focus();
    this.card.hidden = false;
    this.correcting.about(asked, chosen);
    fill(
      this.actions,
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "quiet", onclick: () => this.#link(asked) }, "Copy a link to this"),
        this.model.options.length > 1 && h("button", { type: "button", class: "quiet", onclick: () => this.#compare(asked) }, "Compare models"),
      ),
      snippets(asked.body, asked.raw),
    );
    this.#history();
    reveal(jump);
  }

  #history() {
    if (this.entries.length < 2) return fill(this.list);
    const clear = () => {
      this.entries = this.current ? [this.current] : [];
      this.#history();
    };
    fill(this.list, history(this.entries, this.current, (asked) => this.#return(asked), clear));
  }

  /**
   * Go back to an earlier question. Text that was typed since, and not asked about, can be had again.
   *
   * @param {Asked} asked
   */
  #return(asked) {
    const [texts, question] = [this.passages.texts, this.question.value];
    const unasked = this.current === null && texts.length > 0 && texts.join("\0") !== asked.passages.join("\0");
    this.running?.abort();
    this.#choose(asked, 0, false);
    /** @type {HTMLElement | null} */ (this.list.querySelector('[aria-pressed="true"]'))?.focus();
    fill(this.problem);
    if (!unasked) return;
    const back = () => {
      this.passages.texts = texts;
      this.question.value = question;
      fill(this.problem);
      this.#changed();
    };
    fill(this.problem, h("p", { class: "note" }, "The text that you were writing was put aside. ", h("button", { type: "button", onclick: back }, "Put my text back")));
  }

  /** What is typed is no longer what the link in the address says. */
  #unlink() {
    if (!location.hash.startsWith("#ask/")) return;
    window.history.replaceState(null, "", "#ask");
    this.linked = "";
  }

  /** The texts were edited: what is on the screen is no longer about them. */
  #changed() {
    this.running?.abort(); // its answer would be about another text
    this.#unlink();
    this.#draft();
    this.passages.write();
    this.current = null;
    this.correcting.asked = null;
    this.card.hidden = true;
    this.#history();
  }

  /** @param {Asked} asked */
  #screen(asked) {
    const chosen = this.model.options.length > 1 && asked.body.model ? { models: [asked.body.model] } : {};
    return packed({ question: asked.reply.question, passages: asked.passages, ...chosen });
  }

  /** @param {Asked} asked */
  async #link(asked) {
    const words = await this.#screen(asked);
    if (words === null) return say("The text is too long for a link. Send the file, and the question with it.");
    this.linked = words;
    window.history.replaceState(null, "", `#ask/${words}`);
    await copy(new URL(`#ask/${words}`, HOME).href, "A link to this screen is");
  }

  /** @param {Asked} asked */
  async #compare(asked) {
    const words = await packed({ question: asked.reply.question, passages: asked.passages });
    if (words === null) say("The text is too long to be handed over. Paste it there.");
    go("compare", words ?? "");
  }

  async #models() {
    try {
      const own = (await models()).filter((model) => model.task === "qa");
      const before = this.wanted ?? this.model.value;
      fill(this.model, ...own.map((model) => h("option", { value: model.name }, `${model.name} (${model.version})`)));
      if (own.some((model) => model.name === before)) this.model.value = before;
      this.wanted = null;
      this.modelRow.hidden = own.length < 2;
    } catch (error) {
      fill(this.problem, h("p", { class: "problem" }, sentence(error)));
    }
  }

  async #back() {
    fill(this.problem);
    await this.#models();
    if (this.failed) {
      this.failed = false;
      this.submit();
    }
  }

  #draft() {
    keep({ question: this.question.value, passages: this.passages.sheets.map((sheet) => sheet.text) });
  }

  #restore() {
    const last = draft();
    if (!last) return;
    this.question.value = last.question;
    this.passages.texts = last.passages;
  }
}
