// Elements made of plain values: text is only ever text, never HTML.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element. Of `props`, functions are listeners (`onclick`), `class` and names with a dash are attributes, the rest
 * are properties of the element; null and undefined are left out.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name === "class" || name === "role" || name === "for" || name.includes("-")) element.setAttribute(name, String(value));
    else Reflect.set(element, name, value);
  }
  fill(element, ...children);
  return element;
}

/**
 * A shape of a drawing.
 *
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * Replace what an element holds.
 *
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren(
    ...children.filter((child) => child !== null && child !== undefined && child !== false).map((child) => (child instanceof Node ? child : String(child))),
  );
}

/**
 * The only element that a selector finds.
 *
 * @param {string} selector
 * @returns {HTMLElement}
 */
export function one(selector) {
  const element = document.querySelector(selector);
  if (!(element instanceof HTMLElement)) throw new Error(`no ${selector}`);
  return element;
}

/** @type {number | undefined} */
let fading;

/**
 * Say something in passing, to eyes and to screen readers.
 *
 * @param {string} text
 */
export function say(text) {
  const toast = one(".toast");
  window.clearTimeout(fading);
  toast.textContent = text;
  toast.classList.add("shown");
  fading = window.setTimeout(() => {
    toast.classList.remove("shown");
    toast.textContent = "";
  }, 4000);
}

/**
 * Put text on the clipboard. Browsers give their own way to pages of https and of this machine alone.
 *
 * @param {string} text
 * @param {string} what
 */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = h("textarea", { value: text, class: "unseen", "aria-hidden": "true" });
    const before = document.activeElement;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (before instanceof HTMLElement) before.focus();
    if (!done) {
      say("The browser did not let the page copy. Select the text and copy it by hand.");
      return;
    }
  }
  say(`${what} copied.`);
}

/**
 * A button that copies.
 *
 * @param {string} label
 * @param {() => string | Promise<string>} text
 * @param {string} what
 */
export function copyButton(label, text, what) {
  return h("button", { type: "button", class: "quiet", onclick: async () => copy(await text(), what) }, label);
}

/**
 * A bounded share as people read it: nothing is quite impossible or quite certain.
 *
 * @param {number} share
 */
export function percent(share) {
  if (share < 0.005) return "<1 %";
  if (share > 0.995) return ">99 %";
  return `${Math.round(100 * share)} %`;
}

/**
 * @param {number} count
 * @param {string} word
 */
export function counted(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}
