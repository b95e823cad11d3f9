// What was typed, kept until the tab is closed, so that nothing is lost when the page is loaded again.

/** @typedef {{ question: string, passages: string[] }} Draft */

const NAME = "trifold.draft";
const LONGEST = 2_000_000;

/** @param {Draft} typed */
export function keep(typed) {
  const text = JSON.stringify(typed);
  try {
    if (text.length < LONGEST) sessionStorage.setItem(NAME, text);
  } catch {
    return; // storage is full or closed: the draft lives as long as the page
  }
}

/** @returns {Draft | null} */
export function draft() {
  try {
    const found = JSON.parse(sessionStorage.getItem(NAME) ?? "null");
    return found && typeof found.question === "string" && Array.isArray(found.passages) ? found : null;
  } catch {
    return null;
  }
}
