// What people have corrected: to review, edit, delete, download, and to train with.

import { call, HOME, key, sentence } from "../../api.js";
import { copyButton, counted, fill, h, percent, say } from "../../dom.js";
import { keepsCorrections } from "./correct.js";
import { Passage } from "./passage.js";

/** @typedef {import("./passage.js").Span} Span */
/** @typedef {{ id: string, revision: number, created: string | null, changed: string | null, question: string, passage: string, answers: Span[], predicted: { text: string, score: number | null } | null, model: string | null, note: string | null }} Correction */

const PAGE = 20;
const AROUND = 120;

/** The view in which corrections are reviewed. */
export class Corrections {
  constructor() {
    this.summary = h("div", { class: "card" });
    this.search = h("input", { type: "search", id: "search", placeholder: "Words in question, passage or answer", oninput: () => this.#later() });
    this.list = h("ol", { class: "corrections" });
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.#load(this.next) }, "More");
    this.problem = h("div", { role: "alert" });
    this.next = 0;
    /** @type {number | undefined} */
    this.waiting = undefined;
    this.element = h(
      "section",
      { "aria-label": "Corrections" },
      h("h1", {}, "Corrections"),
      h("p", { class: "lead" }, "What was confirmed or corrected on this page. It is kept on the server’s machine as a data set that a model can be fine-tuned with."),
      this.summary,
      h("div", { class: "row" }, h("label", { for: "search" }, "Search"), this.search),
      this.problem,
      this.list,
      this.more,
    );
    document.addEventListener("trifold:corrected", () => !this.element.hidden && this.#load(0));
    document.addEventListener("trifold:back", () => !this.element.hidden && this.#load(0));
  }

  show() {
    this.#load(0);
  }

  #later() {
    window.clearTimeout(this.waiting);
    this.waiting = window.setTimeout(() => this.#load(0), 250);
  }

  /** @param {number} offset */
  async #load(offset) {
    const query = this.search.value.trim();
    if (!offset && this.list.querySelector(".editing")) return; // what is being typed is not swept away
    this.more.disabled = true;
    try {
      if (!(await keepsCorrections())) {
        fill(this.summary, h("p", {}, "This server keeps no corrections (it was started with ", h("code", {}, "--no-corrections"), ")."));
        return;
      }
      const got = await call(`v1/corrections?limit=${PAGE}&offset=${offset}${query ? `&query=${encodeURIComponent(query)}` : ""}`);
      if (query !== this.search.value.trim()) return;
      fill(this.problem);
      if (!offset) fill(this.list);
      /** @type {Correction[]} */
      const found = got.value.corrections;
      const shown = new Set([...this.list.children].map((item) => item.id));
      const fresh = found.filter((one) => !shown.has(`correction-${one.id}`));
      this.list.append(...fresh.map((one) => new Entry(one, (by) => this.#moved(by)).element));
      this.next = got.value.next_offset ?? 0;
      this.more.hidden = got.value.next_offset === null;
      this.#summary(got.value, query);
    } catch (error) {
      fill(this.problem, h("p", { class: "problem" }, sentence(error)));
    } finally {
      this.more.disabled = false;
    }
  }

  /**
   * One was deleted, or put back: the places of those after it have moved.
   *
   * @param {number} by
   */
  async #moved(by) {
    this.next = Math.max(0, this.next + by);
    const query = this.search.value.trim();
    try {
      const got = await call(`v1/corrections?limit=1${query ? `&query=${encodeURIComponent(query)}` : ""}`);
      this.#summary(got.value, query);
    } catch (error) {
      say(sentence(error));
    }
  }

  /**
   * @param {{ total: number, file: { path: string | null, download: string }, command: string | null, missing: string | null }} value
   * @param {string} query
   */
  #summary({ total, file, command, missing }, query) {
    if (!total && !query) {
      fill(this.summary, h("p", {}, "None yet. Ask a question, then say whether the answer is right, or select the words that are."), h("p", {}, h("a", { href: "#ask" }, "Ask a question")));
      return;
    }
    fill(
      this.summary,
      h("div", { class: "row" }, h("strong", {}, query ? `${counted(total, "correction")} found` : counted(total, "correction")), h("span", { class: "space" }), h("button", { type: "button", onclick: () => download(file.download) }, "Download the data set")),
      command !== null && h("p", {}, "Fine-tune a model with them:"),
      command !== null && h("div", { class: "command" }, h("code", {}, command), copyButton("Copy", () => command, "The command")),
      missing !== null && h("p", { class: "note" }, missing),
      file.path !== null && h("p", { class: "note" }, "They are kept in ", h("code", {}, file.path), " (SQuAD 2.0)."),
    );
  }
}

/** @param {string} path */
async function download(path) {
  try {
    // A link brings no key along, so with one the page fetches the file itself.
    const address = key() === null ? new URL(path, HOME).href : URL.createObjectURL(new Blob([(await call(path)).raw], { type: "application/json" }));
    const link = h("a", { href: address, download: "corrections-qa.json" });
    document.body.append(link);
    link.click();
    link.remove();
    if (address.startsWith("blob:")) window.setTimeout(() => URL.revokeObjectURL(address), 10_000);
  } catch (error) {
    say(sentence(error));
  }
}

/** One correction: to read, and to change. */
class Entry {
  /**
   * @param {Correction} correction
   * @param {(by: number) => void} moved  told when it is deleted (-1) or put back (1)
   */
  constructor(correction, moved) {
    this.correction = correction;
    this.moved = moved;
    this.element = h("li", { class: "card", id: `correction-${correction.id}` });
    this.#read();
  }

  #read() {
    const { question, passage, answers, predicted, model, note, changed } = this.correction;
    const right = answers.length ? answers.map((one) => one.text).join("; ") : null;
    const said = predicted && (predicted.text === "" ? "does not say" : predicted.text);
    const same = predicted !== null && (answers.length ? answers.some((one) => one.text === predicted.text) : predicted.text === "");
    const preview = new Passage("The place in the passage");
    const [text, moved] = excerpt(passage, answers);
    preview.show(text, moved.map((span) => ({ ...span, kind: "best", label: "right" })));
    preview.element.classList.add("excerpt");
    this.element.classList.remove("editing");
    fill(
      this.element,
      h("h2", {}, h("bdi", { dir: "auto" }, question)),
      h("p", {}, h("span", { class: "tag right" }, "right"), " ", right === null ? h("em", {}, "the passage does not say") : h("bdi", { dir: "auto" }, right)),
      said !== null &&
        h("p", {}, h("span", { class: same ? "tag right" : "tag wrong" }, same ? "the model said the same" : "the model said"), " ", !same && h("bdi", { dir: "auto" }, said), predicted?.score !== null && predicted !== null && h("span", { class: "note" }, ` ${percent(predicted.score ?? 0)}`)),
      preview.element,
      note !== null && h("p", { class: "note" }, note),
      h("p", { class: "note" }, [model, changed && new Date(changed).toLocaleString()].filter(Boolean).join(", ")),
      h("div", { class: "row" }, h("button", { type: "button", onclick: () => this.#edit() }, "Edit"), h("button", { type: "button", onclick: () => this.#delete() }, "Delete")),
    );
  }

  #edit() {
    const { correction } = this;
    /** @type {Span[]} */
    let answers = correction.answers;
    const id = `edit-${correction.id}`;
    const question = h("textarea", { id, rows: 2, value: correction.question });
    const note = h("input", { id: `${id}-note`, value: correction.note ?? "" });
    const chosen = h("p", { class: "chosen" });
    const problem = h("div", { role: "alert" });
    const passage = new Passage("The passage, to select the right words in", (span) => span && choose([span]));
    const choose = (/** @type {Span[]} */ spans, draw = false) => {
      answers = spans;
      fill(chosen, "Right: ", spans.length ? h("bdi", { dir: "auto" }, spans.map((span) => span.text).join("; ")) : h("em", {}, "the passage does not say"));
      if (draw) passage.show(correction.passage, spans.map((span) => ({ ...span, kind: "best", label: "right" })));
    };
    const save = async () => {
      const json = { ...pick(correction), question: question.value, answers: answers.map(({ text, start, end }) => ({ text, start, end })), note: note.value.trim() || null, revision: correction.revision };
      try {
        this.correction = (await call(`v1/corrections/${correction.id}`, { method: "PUT", json })).value;
        this.#read();
        say("Saved.");
        this.element.querySelector("button")?.focus();
      } catch (error) {
        fill(problem, h("p", { class: "problem" }, sentence(error)));
      }
    };
    this.element.classList.add("editing");
    fill(
      this.element,
      h("label", { for: id }, "Question"),
      question,
      h("p", { class: "note" }, "Select the right words in the passage."),
      passage.element,
      chosen,
      h("label", { for: `${id}-note` }, "Note"),
      note,
      problem,
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "primary", onclick: save }, "Save"),
        h("button", { type: "button", onclick: () => choose([], true) }, "The passage does not say"),
        h("button", { type: "button", class: "quiet", onclick: () => {
          this.#read();
          this.element.querySelector("button")?.focus();
        } }, "Cancel"),
      ),
    );
    choose(answers, true);
    passage.reveal("best", false);
    question.focus();
  }

  async #delete() {
    const { id, revision } = this.correction;
    try {
      await call(`v1/corrections/${id}?revision=${revision}`, { method: "DELETE" });
    } catch (error) {
      say(sentence(error));
      return;
    }
    const back = h("button", {
      type: "button",
      onclick: async () => {
        try {
          this.correction = (await call("v1/corrections", { json: pick(this.correction) })).value;
          this.element.id = `correction-${this.correction.id}`;
          this.#read();
          this.element.querySelector("button")?.focus();
          this.moved(1);
        } catch (error) {
          say(sentence(error));
        }
      },
    }, "Put it back");
    fill(this.element, h("p", { role: "status" }, "Deleted. ", back));
    back.focus();
    this.moved(-1);
  }
}

/** @param {Correction} correction  what a request may have */
function pick({ question, passage, answers, predicted, model, note }) {
  return { question, passage, answers, predicted, model, note };
}

/**
 * The surroundings of the right words, and where these stand in them.
 *
 * @param {string} passage
 * @param {readonly Span[]} answers
 * @returns {[string, Span[]]}
 */
function excerpt(passage, answers) {
  const points = [...passage];
  const first = answers[0];
  let start = first ? Math.max(0, first.start - AROUND) : 0;
  let end = Math.min(points.length, (first ? first.end : 0) + AROUND);
  // No word is cut, where the words are short enough for that.
  const blank = (/** @type {number} */ place) => /\s/.test(points[place] ?? " ");
  if (first && start) while (start < first.start && !blank(start - 1)) start++;
  if (end < points.length) while (end > (first?.end ?? 0) && !blank(end)) end--;
  const lead = start ? "… " : "";
  const text = `${lead}${points.slice(start, end).join("")}${end < points.length ? " …" : ""}`;
  if (!first) return [text, []];
  const shift = lead.length - start;
  return [text, [{ ...first, start: first.start + shift, end: first.end + shift }]];
}
