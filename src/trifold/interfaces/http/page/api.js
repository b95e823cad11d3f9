// The public REST API: the only thing that the page asks.

import { h } from "./dom.js";
import { keep, kept } from "./storage.js";

/** @typedef {{ name: string, version: string, task: string, precision: string | null, default: boolean }} Model */

/** An answer of the server that is none; its message is a sentence for people. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status  0 where there was no answer at all
   * @param {number} [wait]  seconds after which to ask again
   */
  constructor(message, status, wait) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

const KEY = "trifold.key";

/** Where this page stands: behind a proxy it may have a prefix. */
export const HOME = new URL(".", document.baseURI);

/** @returns {string | null} */
export function key() {
  return kept("sessionStorage", KEY);
}

/** @param {string | null} value */
export function setKey(value) {
  keep("sessionStorage", KEY, value || null);
  document.dispatchEvent(new CustomEvent("trifold:key"));
}

/**
 * @typedef {object} Asked
 * @property {string} [method]
 * @property {unknown} [json]
 * @property {Blob} [body]
 * @property {AbortSignal} [signal]
 */

/**
 * @template T
 * @typedef {{ value: T, status: number, ms: number, serverMs: number | null, raw: string }} Got
 */

/**
 * Ask the server. Asks for a key where one is needed. Raises ApiError, and AbortError when the signal says so.
 *
 * @param {string} path  relative to the page, such as "v1/answer"
 * @param {Asked} [asked]
 * @returns {Promise<Got<any>>}
 */
export async function call(path, asked = {}) {
  for (let tried = false; ; tried = true) {
    const response = await send(path, asked);
    const raw = await response.text.catch(unreachable);
    if (response.status !== 401) return read(response, raw);
    await askForKey(tried || key() !== null);
  }
}

/** @typedef {{ status: number, headers: Headers, text: Promise<string>, began: number }} Sent */

/**
 * @param {string} path
 * @param {Asked} asked
 * @returns {Promise<Sent>}
 */
async function send(path, asked) {
  const headers = new Headers();
  const own = key();
  if (own !== null) headers.set("Authorization", `Bearer ${own}`);
  if (asked.json !== undefined) headers.set("Content-Type", "application/json");
  else if (asked.body) headers.set("Content-Type", asked.body.type || "application/octet-stream");
  const began = performance.now();
  /** @type {RequestInit} */
  const init = { method: asked.method ?? (asked.json === undefined && !asked.body ? "GET" : "POST"), headers, cache: "no-store" };
  if (asked.json !== undefined) init.body = JSON.stringify(asked.json);
  else if (asked.body) init.body = asked.body;
  if (asked.signal) init.signal = asked.signal;
  const response = await fetch(new URL(path, HOME), init).catch(unreachable);
  return { status: response.status, headers: response.headers, text: response.text(), began };
}

/**
 * @param {unknown} error
 * @returns {never}
 */
function unreachable(error) {
  if (error instanceof DOMException && error.name === "AbortError") throw error;
  document.dispatchEvent(new CustomEvent("trifold:lost"));
  throw new ApiError("The server cannot be reached; it may have ended, or be starting again. What you typed is still here.", 0);
}

/**
 * @param {Sent} response
 * @param {string} raw
 * @returns {Got<any>}
 */
function read(response, raw) {
  const ms = performance.now() - response.began;
  /** @type {any} */
  let value = null;
  try {
    value = raw === "" ? null : JSON.parse(raw);
  } catch {
    if (response.status < 400) throw new ApiError("What answers here is not trifold: its reply is no JSON.", response.status);
  }
  if (response.status >= 400) {
    const given = value && typeof value.error === "string" ? value.error : `The server replied ${response.status}.`;
    const wait = Number(response.headers.get("Retry-After"));
    throw new ApiError(given.charAt(0).toUpperCase() + given.slice(1), response.status, wait > 0 ? wait : undefined);
  }
  const total = /total;dur=([\d.]+)/.exec(response.headers.get("Server-Timing") ?? "")?.[1];
  return { value, status: response.status, ms, serverMs: total === undefined ? null : Number(total), raw };
}

/** @type {Promise<void> | null} */
let prompting = null;

/**
 * Ask for a key, once for all calls that wait for it. Raises ApiError when there will be none.
 *
 * @param {boolean} wrong
 */
export function askForKey(wrong = false) {
  document.dispatchEvent(new CustomEvent("trifold:key-needed"));
  prompting ??= prompt(wrong).finally(() => (prompting = null));
  return prompting;
}

/**
 * @param {boolean} wrong
 * @returns {Promise<void>}
 */
function prompt(wrong) {
  const field = h("input", { type: "password", id: "key", autocomplete: "off", spellcheck: false, required: true, pattern: "\\s*[!-~]+\\s*", title: "A key has letters, digits and signs of ASCII, without blanks.", "aria-describedby": "key-about" });
  const dialog = h(
    "dialog",
    { class: "card", "aria-labelledby": "key-title" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "key-title" }, "This server asks for a key"),
      h(
        "p",
        { id: "key-about" },
        wrong ? "It does not know the key that was given. " : "",
        "Whoever runs the server gives out keys. Yours is kept until this tab is closed, and sent to this server alone.",
      ),
      h("label", { for: "key" }, "Key"),
      field,
      h(
        "div",
        { class: "row" },
        h("button", { type: "submit", class: "primary", value: "use" }, "Use this key"),
        h("button", { type: "submit", value: "cancel", formNoValidate: true }, "Not now"),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve, reject) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      const given = field.value.trim();
      if (dialog.returnValue === "use" && given) {
        setKey(given);
        resolve();
      } else reject(new ApiError("This server answers only with a key. Choose “Key” at the top to give one.", 401));
    });
  });
}

/**
 * The models that are served.
 *
 * @param {AbortSignal} [signal]
 * @returns {Promise<Model[]>}
 */
export async function models(signal) {
  const got = await call("v1/models", signal ? { signal } : {});
  return got.value.models;
}

/**
 * What an error says to people.
 *
 * @param {unknown} error
 */
export function sentence(error) {
  if (error instanceof ApiError) {
    return error.wait === undefined || error.status === 503 ? error.message : `${error.message} (Try again in ${error.wait} s.)`;
  }
  return error instanceof Error ? error.message : String(error);
}
