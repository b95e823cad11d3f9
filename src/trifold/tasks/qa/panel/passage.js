// A passage to read: marked in place, and words in it can be selected, by mouse, finger or keyboard.

import { fill, h } from "../../dom.js";
import { Offsets } from "./offsets.js";

/** @typedef {{ start: number, end: number, kind: string, label: string }} Mark  positions in code points */
/** @typedef {{ start: number, end: number, text: string }} Span  positions in code points */
/** @typedef {(from: number, to: number, change: { type: string, text: string }) => void} Typed  positions in UTF-16 units */

/** @type {WeakMap<Element, () => void>}  the passages that want to know of selections */
const watched = new WeakMap();

// A click elsewhere leaves what was selected in a passage, so that a button can use it.
document.addEventListener("selectionchange", () => {
  const anchor = document.getSelection()?.anchorNode;
  const passage = (anchor instanceof Element ? anchor : anchor?.parentElement)?.closest(".passage");
  if (passage) watched.get(passage)?.();
});

/** A text in which spans are marked. */
export class Passage {
  /**
   * @param {string} name  what a screen reader calls it
   * @param {(span: Span | null) => void} [selected]  told whenever the selection within the passage changes
   * @param {Typed} [typed]  told of what somebody wants to change at the caret; without it nothing can be changed
   */
  constructor(name, selected, typed) {
    this.text = "";
    /** @type {readonly Mark[]} */
    this.marks = [];
    this.offsets = new Offsets("");
    this.element = h("div", {
      class: "passage",
      role: "textbox",
      "aria-multiline": "true",
      "aria-readonly": typed ? null : "true",
      "aria-label": name,
      dir: "auto",
      tabIndex: 0,
      spellcheck: false,
      translate: false,
    });
    if (selected) {
      // What can be edited has a caret, so that a keyboard can select in it; every change is declined here.
      this.element.contentEditable = "true";
      this.element.setAttribute("inputmode", "none");
      for (const change of ["drop", "dragstart"]) this.element.addEventListener(change, (event) => event.preventDefault());
      this.element.addEventListener("beforeinput", (event) => {
        event.preventDefault();
        const range = event.getTargetRanges()[0] ?? document.getSelection()?.getRangeAt(0);
        if (!typed || !range || event.isComposing || /^(format|history)/.test(event.inputType)) return;
        const text = event.data ?? event.dataTransfer?.getData("text/plain") ?? "";
        typed(this.#units(range.startContainer, range.startOffset), this.#units(range.endContainer, range.endOffset), { type: event.inputType, text });
      });
      // What an input method composes cannot be declined: it is written elsewhere, or taken back.
      this.element.addEventListener("compositionstart", () => {
        const range = document.getSelection()?.getRangeAt(0);
        if (typed && range) typed(this.#units(range.startContainer, range.startOffset), this.#units(range.endContainer, range.endOffset), { type: "composition", text: "" });
        else this.element.blur();
      });
      this.element.addEventListener("compositionend", () => this.show(this.text, this.marks));
      watched.set(this.element, () => selected(this.selection()));
    }
  }

  /**
   * Show a text with marks. Where marks overlap, the earlier in the list is seen.
   *
   * @param {string} text
   * @param {readonly Mark[]} [marks]
   */
  show(text, marks = []) {
    if (text !== this.text) {
      this.text = text;
      this.offsets = new Offsets(text);
    }
    this.marks = marks;
    const found = marks.map((mark) => ({ ...mark, from: this.offsets.units(mark.start), to: this.offsets.units(mark.end) }));
    const cuts = [...new Set([0, text.length, ...found.flatMap((mark) => [mark.from, mark.to])])].sort((a, b) => a - b);
    const parts = [];
    for (let i = 0; i + 1 < cuts.length; i++) {
      const [from = 0, to = 0] = [cuts[i], cuts[i + 1]];
      const over = found.filter((mark) => mark.from <= from && mark.to >= to);
      const top = over[0];
      const part = text.slice(from, to);
      parts.push(top ? h("mark", { class: [...new Set(over.map((mark) => mark.kind))].join(" "), title: over.map((mark) => mark.label).join("; ") }, part) : part);
    }
    fill(this.element, ...parts);
  }

  /**
   * Bring the first mark of a kind into view within the passage, and with `jump` on the screen too.
   *
   * @param {string} kind
   * @param {boolean} jump
   */
  reveal(kind, jump) {
    const mark = this.element.querySelector(`mark.${kind}`);
    if (!mark) return;
    const [inner, outer] = [mark.getBoundingClientRect(), this.element.getBoundingClientRect()];
    if (inner.top < outer.top + 24 || inner.bottom > outer.bottom - 24) {
      this.element.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2;
    }
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (jump) mark.scrollIntoView({ block: "nearest", inline: "nearest", behavior: calm ? "auto" : "smooth" });
  }

  /** @returns {Span | null} what is selected in the passage, without blanks at its ends */
  selection() {
    const selection = document.getSelection();
    if (!selection || selection.isCollapsed || !selection.rangeCount) return null;
    const range = selection.getRangeAt(0);
    if (!this.element.contains(range.startContainer) || !this.element.contains(range.endContainer)) return null;
    return this.span(this.#units(range.startContainer, range.startOffset), this.#units(range.endContainer, range.endOffset));
  }

  /**
   * @param {number} from  in UTF-16 units
   * @param {number} to
   * @returns {Span | null}
   */
  span(from, to) {
    const chosen = this.text.slice(from, to);
    const start = this.offsets.points(from + (chosen.length - chosen.trimStart().length));
    const end = this.offsets.points(to - (chosen.length - chosen.trimEnd().length));
    if (end <= start) return null;
    return { start, end, text: this.text.slice(this.offsets.units(start), this.offsets.units(end)) };
  }

  /**
   * @param {Node} node
   * @param {number} offset
   */
  #units(node, offset) {
    const before = document.createRange();
    before.setStart(this.element, 0);
    before.setEnd(node, offset);
    return before.toString().length;
  }
}
