// The passages of a question: written, pasted, opened or dropped, and read once an answer stands in them.

import { call, sentence } from "../../api.js";
import { fill, h, say } from "../../dom.js";
import { Passage } from "./passage.js";

/** @typedef {import("./passage.js").Mark} Mark */
/** @typedef {import("./passage.js").Span} Span */

const KINDS = ".txt,.md,.html,.htm,.pdf,.docx";
let numbered = 0;

/** One passage: a text to write, or the same text to read. */
class Sheet {
  /** @param {Passages} owner */
  constructor(owner) {
    const id = `passage-${++numbered}`;
    this.owner = owner;
    /** @type {AbortController | null}  the file that is being read */
    this.taking = null;
    this.field = h("textarea", {
      id,
      rows: 9,
      dir: "auto",
      placeholder: "Paste or type a text here, drop a file, or open one.",
      spellcheck: false,
      oninput: () => {
        this.taking?.abort();
        owner.changed();
      },
    });
    this.reading = new Passage(
      "Passage",
      (span) => owner.selected(this, span),
      (from, to, change) => this.type(from, to, change),
    );
    this.name = h("label", { for: id });
    this.problem = h("p", { class: "problem", role: "alert" });
    this.note = h("p", { class: "note" });
    this.remove = h("button", { type: "button", class: "quiet", onclick: () => owner.remove(this) }, "Remove");
    this.edit = h("button", { type: "button", class: "quiet", onclick: () => this.write(true) }, "Edit");
    const picker = h("input", { type: "file", accept: KINDS, class: "unseen", tabIndex: -1, "aria-hidden": "true", onchange: () => {
        const file = picker.files?.[0];
        if (file) this.take(file);
        picker.value = ""; // so that the same file can be chosen again
      } });
    const open = h("button", { type: "button", class: "quiet", onclick: () => picker.click() }, "Open file…");
    this.element = h("div", { class: "sheet" }, h("div", { class: "row" }, this.name, h("span", { class: "space" }), this.edit, open, picker, this.remove), this.field, this.reading.element, this.note, this.problem);
    this.element.addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      this.element.classList.add("over");
    });
    this.element.addEventListener("dragleave", () => this.element.classList.remove("over"));
    this.element.addEventListener("drop", (event) => {
      this.element.classList.remove("over");
      const file = event.dataTransfer?.files[0];
      if (!file) return;
      event.preventDefault();
      this.take(file);
    });
    this.write();
  }

  get text() {
    return this.field.value;
  }

  /** @param {string} text */
  set text(text) {
    this.field.value = text;
    this.write();
  }

  /**
   * Somebody types into the text that is read: it is written from there on, as if it had been all along.
   *
   * @param {number} from
   * @param {number} to
   * @param {{ type: string, text: string }} change
   */
  type(from, to, { type, text }) {
    this.write();
    this.field.focus();
    this.field.setSelectionRange(from, to);
    // Only commands of editing can be undone by the field's own Ctrl-Z.
    if (type.startsWith("delete")) document.execCommand(type.includes("Forward") ? "forwardDelete" : "delete");
    else if (type === "insertParagraph" || type === "insertLineBreak") document.execCommand("insertText", false, "\n");
    else if (text) document.execCommand("insertText", false, text);
  }

  /** Let the text be written. */
  write(focus = false) {
    this.field.hidden = false;
    this.reading.element.hidden = true;
    this.edit.hidden = true;
    if (focus) {
      this.field.focus();
      this.field.setSelectionRange(0, 0);
    }
  }

  /**
   * Show the text with marks.
   *
   * @param {readonly Mark[]} marks
   */
  read(marks) {
    this.reading.show(this.text, marks);
    this.field.hidden = true;
    this.reading.element.hidden = false;
    this.edit.hidden = false;
  }

  /**
   * Have the server make text of a file. What it is, it sees by itself, whatever the browser takes it for.
   *
   * @param {File} file
   */
  async take(file) {
    this.taking?.abort();
    const taking = (this.taking = new AbortController());
    fill(this.problem);
    this.note.textContent = `Reading ${file.name} …`;
    try {
      const got = await call(`v1/extract?name=${encodeURIComponent(file.name)}`, { body: new Blob([file]), signal: taking.signal });
      if (taking.signal.aborted || !this.element.isConnected) return;
      this.text = got.value.text;
      this.note.textContent = [`${file.name}, ${this.text.length.toLocaleString("en")} characters.`, ...got.value.warnings].join(" ");
      this.owner.changed();
      say(`${file.name} was read.`);
    } catch (error) {
      if (this.taking === taking || this.taking === null) this.note.textContent = "";
      if (taking.signal.aborted) return;
      this.problem.textContent = `${file.name}: ${sentence(error)}`;
    }
  }
}

/** All passages of a question. */
export class Passages {
  /**
   * @param {object} told
   * @param {() => void} told.changed  the texts are others now
   * @param {(index: number, span: Span | null) => void} [told.selected]  words of a passage that is read were selected
   */
  constructor(told) {
    this.told = told;
    /** @type {Sheet[]} */
    this.sheets = [];
    this.list = h("div", { class: "sheets" });
    this.add = h("button", { type: "button", class: "quiet", onclick: () => this.#append().field.focus() }, "+ Another passage");
    this.element = h("div", { class: "passages card" }, this.list, this.add);
    this.#append();
  }

  /** The texts that are not blank, in order. */
  get texts() {
    return this.#written.map((sheet) => sheet.text);
  }

  /** @param {string[]} texts */
  set texts(texts) {
    for (const sheet of this.sheets) sheet.taking?.abort();
    this.sheets = [];
    fill(this.list);
    for (const text of texts.length ? texts : [""]) this.#append(false).text = text;
    this.#number();
  }

  get #written() {
    return this.sheets.filter((sheet) => sheet.text.trim());
  }

  /**
   * Show the passages with marks, those of each passage by its index among `texts`.
   *
   * @param {(index: number) => readonly Mark[]} marks
   */
  read(marks) {
    this.#written.forEach((sheet, index) => sheet.read(marks(index)));
  }

  /** Let all passages be written again. */
  write() {
    for (const sheet of this.sheets) sheet.write();
  }

  /**
   * Show where a mark is.
   *
   * @param {number} index
   * @param {boolean} [jump]  move the whole page there, where it must be
   */
  reveal(index, jump = false) {
    this.#written[index]?.reading.reveal("best", jump);
  }

  /** Put the cursor into the first passage. */
  focus() {
    const sheet = this.sheets[0];
    if (sheet) (sheet.field.hidden ? sheet.reading.element : sheet.field).focus();
  }

  /** @param {Sheet} sheet */
  remove(sheet) {
    sheet.taking?.abort();
    this.sheets = this.sheets.filter((one) => one !== sheet);
    sheet.element.remove();
    if (!this.sheets.length) this.#append();
    this.#number();
    this.changed();
    this.focus();
  }

  changed() {
    this.told.changed();
  }

  /**
   * @param {Sheet} sheet
   * @param {Span | null} span
   */
  selected(sheet, span) {
    const index = this.#written.indexOf(sheet);
    if (index >= 0) this.told.selected?.(index, span);
  }

  #append(number = true) {
    const sheet = new Sheet(this);
    this.sheets.push(sheet);
    this.list.append(sheet.element);
    if (number) this.#number();
    return sheet;
  }

  #number() {
    this.sheets.forEach((sheet, index) => {
      const name = this.sheets.length > 1 ? `Passage ${index + 1}` : "Passage";
      sheet.name.textContent = name;
      sheet.reading.element.setAttribute("aria-label", `${name}, to read and to select words in`);
      sheet.remove.hidden = this.sheets.length < 2;
    });
  }
}
