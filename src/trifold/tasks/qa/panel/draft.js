// What was typed, kept until the tab is closed, so that nothing is lost when the page is loaded again.

/** @typedef {{ question: string, passages: string[] }} Draft */

import * as storage from "../../storage.js";

const NAME = "trifold.draft";
const LONGEST = 2_000_000;

/** @param {Draft} typed */
export function keep(typed) {
  const text = JSON.stringify(typed);
  if (text.length < LONGEST) storage.keep("sessionStorage", NAME, text);
}

/** @returns {Draft | null} */
export function draft() {
  try {
    const found = JSON.parse(storage.kept("sessionStorage", NAME) ?? "null");
    return found && typeof found.question === "string" && Array.isArray(found.passages) ? found : null;
  } catch {
    return null;
  }
}
