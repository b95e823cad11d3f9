// The frame of the page: its views, where they are found, light and dark, and whether the server is there.

import { key, askForKey, setKey, HOME } from "./api.js";
import { fill, h, one, say } from "./dom.js";
import { keep, kept } from "./storage.js";

/**
 * One view of the page. `open` makes its element once; `show` is called whenever it is gone to, with what stands in
 * the address after the view's name.
 *
 * @typedef {object} View
 * @property {string} id
 * @property {string} title
 * @property {number} order
 * @property {() => HTMLElement} open
 * @property {(rest: string) => void} [show]
 */

/** @type {Map<string, View>} */
const views = new Map();
/** @type {Map<string, HTMLElement>} */
const opened = new Map();
let loaded = false;

/**
 * Add a view to the page.
 *
 * @param {View} view
 */
export function register(view) {
  views.set(view.id, view);
  if (loaded) refresh();
}

/**
 * Add the style sheet of a panel.
 *
 * @param {string} url
 */
export function styled(url) {
  document.head.append(h("link", { rel: "stylesheet", href: url }));
}

/**
 * Go to a view.
 *
 * @param {string} id
 * @param {string} [rest]
 */
export function go(id, rest = "") {
  const address = rest ? `#${id}/${rest}` : `#${id}`;
  if (location.hash === address) refresh();
  else location.hash = address;
}

/** @returns {View[]} */
function ordered() {
  return [...views.values()].sort((a, b) => a.order - b.order);
}

function refresh() {
  const [id = "", ...rest] = location.hash.slice(1).split("/");
  if (id === "main") return; // the link that skips the head of the page
  const view = views.get(id) ?? ordered()[0];
  if (!view) return;
  const bar = one(".views");
  if (bar.children.length !== views.size) fill(bar, ...ordered().map((each) => h("a", { href: `#${each.id}` }, each.title)));
  ordered().forEach((each, index) => {
    if (each === view) bar.children[index]?.setAttribute("aria-current", "page");
    else bar.children[index]?.removeAttribute("aria-current");
  });
  let element = opened.get(view.id);
  if (!element) {
    element = view.open();
    opened.set(view.id, element);
    one("main").append(element);
  }
  for (const [other, section] of opened) section.hidden = other !== view.id;
  document.title = view.order ? `${view.title} · trifold` : "trifold";
  view.show?.(rest.join("/"));
}

// Light and dark -------------------------------------------------------------------------------------------------

const SCHEME = "trifold.scheme";
const SCHEMES = /** @type {const} */ (["system", "light", "dark"]);

/** @returns {string} */
function scheme() {
  return kept("localStorage", SCHEME) ?? "system";
}

function paint() {
  const chosen = scheme();
  if (chosen === "system") delete document.documentElement.dataset["scheme"];
  else document.documentElement.dataset["scheme"] = chosen;
}

function schemeButton() {
  /** @type {HTMLButtonElement} */
  const button = h("button", { type: "button", class: "quiet" });
  const show = () => fill(button, h("span", { "aria-hidden": "true" }, { system: "◐", light: "☀", dark: "☾" }[scheme()] ?? ""), h("span", { class: "wide" }, scheme()));
  button.setAttribute("aria-label", "Colours: follow the system, light, or dark");
  button.addEventListener("click", () => {
    const next = SCHEMES[(SCHEMES.findIndex((one) => one === scheme()) + 1) % SCHEMES.length] ?? "system";
    keep("localStorage", SCHEME, next);
    paint();
    show();
    say(next === "system" ? "Colours follow the system." : `Colours are ${next}.`);
  });
  show();
  return button;
}

// The key ----------------------------------------------------------------------------------------------------------

function keyButton() {
  const button = h("button", {
    type: "button",
    class: "quiet",
    onclick: async () => {
      if (key() === null) await askForKey().catch(() => undefined);
      else {
        setKey(null);
        say("The key is forgotten.");
      }
    },
  });
  const show = () => {
    button.textContent = key() === null ? "Key" : "Forget key";
    button.hidden = key() === null && !needed;
  };
  let needed = false;
  for (const event of ["trifold:key", "trifold:key-needed"]) {
    document.addEventListener(event, () => {
      needed = true;
      show();
    });
  }
  show();
  return button;
}

// The server ---------------------------------------------------------------------------------------------------------

let watching = false;

/** Look for a server that was lost until it is back, and say so. */
async function watch() {
  if (watching) return;
  watching = true;
  const banner = one(".banner");
  banner.textContent = "The server cannot be reached. The page looks for it; what you typed is still here.";
  banner.hidden = false;
  for (;;) {
    await new Promise((resolve) => window.setTimeout(resolve, 1000));
    try {
      const ready = await fetch(new URL("v2/health/ready", HOME), { cache: "no-store" });
      if (ready.ok) break;
      banner.textContent = "The server is back and loads its models.";
    } catch {
      continue;
    }
  }
  banner.hidden = true;
  banner.textContent = "";
  watching = false;
  say("The server is back.");
  document.dispatchEvent(new CustomEvent("trifold:back"));
}

document.addEventListener("trifold:lost", watch);
window.addEventListener("hashchange", refresh);
one(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address stays that of the view
  one("main").focus();
});
paint();
const docs = h("a", { class: "quiet", href: "docs", hidden: true }, "API");
fill(one(".tools"), keyButton(), schemeButton(), docs);
fetch(new URL("openapi.json", HOME), { method: "HEAD" }).then((found) => (docs.hidden = !found.ok), () => undefined);
// Modules run before this event: the panels have brought their views.
document.addEventListener("DOMContentLoaded", () => {
  loaded = true;
  refresh();
});
