// The question as it is typed and sent, wherever one is asked.

import { h } from "../../dom.js";

/**
 * @param {string} id
 * @param {string} placeholder
 * @param {() => void} typed
 * @param {() => void} submit  told of Enter without Shift
 */
export function questionField(id, placeholder, typed, submit) {
  return h("textarea", {
    id,
    rows: 2,
    dir: "auto",
    placeholder,
    oninput: typed,
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit();
    },
  });
}

/**
 * @param {HTMLTextAreaElement} field
 * @param {() => void} submit
 * @param {...import("../../dom.js").Child} children  what stands below the field
 */
export function questionForm(field, submit, ...children) {
  const form = h("form", { class: "card question" }, h("label", { for: field.id }, "Question"), field, ...children);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  return form;
}
