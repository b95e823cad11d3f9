// What each served model is: measured, calibrated, made from, and its card.

import { call, models, sentence } from "./api.js";
import { copyButton, counted, fill, h } from "./dom.js";
import { markdown } from "./markdown.js";
import { reliability } from "./plot.js";
import { go, register } from "./shell.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {{ n: number | null, exact: number | null, f1: number | null }} Part */
/** @typedef {{ data: string, always_answer?: boolean, precision?: string, n: number, exact?: number | null, f1?: number | null, has_answer?: Part, no_answer?: Part, ece?: number | null, auroc?: number | null, reliability?: import("./plot.js").Bin[] }} Metric */

const section = h("section", { class: "models", "aria-label": "Models" });
const tabs = h("nav", { class: "tabs", "aria-label": "Served models" });
const body = h("div", { "aria-live": "polite" });

register({
  id: "models",
  title: "Models",
  order: 90,
  open() {
    fill(section, h("h1", {}, "Models"), h("p", { class: "lead" }, "What answers here, how good it was found, and where it comes from."), tabs, body);
    return section;
  },
  show,
});
document.addEventListener("trifold:back", () => section.isConnected && !section.hidden && show(shown));

let shown = "";

/** @param {string} rest */
async function show(rest) {
  shown = rest;
  try {
    const served = await models();
    const wanted = served.find((model) => model.name === decodeURIComponent(rest)) ?? served[0];
    fill(
      tabs,
      ...served.map((model) =>
        h("a", { href: `#models/${encodeURIComponent(model.name)}`, "aria-current": model === wanted ? "true" : null }, model.name, h("small", {}, ` ${model.version}`)),
      ),
    );
    if (!wanted) return;
    const got = await call(`v1/models/${encodeURIComponent(wanted.name)}/card`);
    if (shown === rest) fill(body, ...card(wanted, got.value));
  } catch (error) {
    fill(body, h("p", { class: "problem", role: "alert" }, sentence(error)), h("button", { type: "button", onclick: () => go("models", shown) }, "Try again"));
  }
}

/**
 * @param {Model} model
 * @param {{ card: string | null, facts: Record<string, any> }} found
 */
function card(model, found) {
  const facts = found.facts;
  /** @type {Metric[]} */
  const metrics = facts["metrics"] ?? [];
  return [
    h(
      "div",
      { class: "card" },
      h("h2", {}, model.version),
      facts["description"] && h("p", {}, facts["description"]),
      pairs({
        "Answers as": model.name,
        Task: model.task,
        Arithmetic: model.precision,
        Languages: facts["task_settings"]?.languages?.join(", "),
        Licence: facts["license"],
        Base: facts["base"]?.name,
      }),
    ),
    metrics.length ? measured(metrics) : h("div", { class: "card" }, h("h2", {}, "Measured"), h("p", {}, "Nobody has measured this model. ", h("code", {}, `trifold evaluate DATA --model ${model.version}`), " does.")),
    made(facts),
    found.card !== null && h("details", { class: "card" }, h("summary", {}, h("h2", {}, "The card")), markdown(found.card)),
  ].filter((part) => part instanceof Node);
}

/** @param {Metric} metric */
function named(metric) {
  return `${metric.data}${metric.always_answer ? ", always answering" : ""}`;
}

/** @param {readonly Metric[]} metrics */
function measured(metrics) {
  const number = (/** @type {number | null | undefined} */ value, digits = 1) => h("td", {}, value === null || value === undefined ? "" : value.toFixed(digits));
  const table = h(
    "div",
    { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Figures" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...["Data", "Graph", "Questions", "Exact", "F1", "F1 where answered", "F1 where not", "ECE", "AUROC"].map((name) => h("th", { scope: "col" }, name)))),
      h(
        "tbody",
        {},
        ...metrics.map((metric) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, named(metric)),
            h("td", {}, metric.precision ?? ""),
            h("td", {}, metric.n.toLocaleString("en")),
            number(metric.exact),
            number(metric.f1),
            number(metric.has_answer?.f1),
            number(metric.no_answer?.f1),
            number(metric.ece, 3),
            number(metric.auroc, 3),
          ),
        ),
      ),
    ),
  );
  return h("div", { class: "card" }, h("h2", {}, "Measured"), table, h("p", { class: "note" }, "Exact match and F1 in percent. ECE: how far scores are from the share that is right, 0 at best. AUROC: how well they tell right from wrong, 1 at best."), calibration(metrics));
}

/** @param {readonly Metric[]} metrics */
function calibration(metrics) {
  const known = metrics.filter((metric) => metric.reliability?.length);
  if (!known.length) return h("p", { class: "note" }, "There is no calibration plot: this model was measured before its bins were kept.");
  const frame = h("div", {});
  const draw = (/** @type {number} */ index) => {
    const metric = known[index];
    if (metric?.reliability) fill(frame, reliability(metric.reliability, named(metric)));
  };
  const choice = h(
    "select",
    { id: "calibration-data", onchange: () => draw(choice.selectedIndex) },
    ...known.map((metric) => h("option", {}, `${named(metric)}${metric.precision ? ` (${metric.precision})` : ""}`)),
  );
  // Many questions, answered as the model would by itself, show its scores best.
  const fitness = (/** @type {Metric} */ metric) => (metric.always_answer ? 0 : 1e9) + metric.n;
  choice.selectedIndex = known.reduce((best, metric, index) => (fitness(metric) > fitness(known[best] ?? metric) ? index : best), 0);
  draw(choice.selectedIndex);
  return h(
    "div",
    { class: "stack" },
    h("h3", {}, "Are its scores true?"),
    h("p", {}, "Each point is one of up to 15 groups of replies of like score. On the line, of the replies that say 70 %, seventy in a hundred are right; below it, the model promises too much."),
    h("div", { class: "row" }, h("label", { for: "calibration-data" }, "Data"), choice),
    frame,
  );
}

/** @param {Record<string, any>} facts */
function made(facts) {
  const data = (facts["data"] ?? []).map((/** @type {any} */ one) => h("li", {}, `${one.file}: ${counted(one.rows ?? 0, "row")}`, one.sha256 && h("code", { class: "hash" }, ` SHA-256 ${one.sha256}`)));
  const files = Object.entries(facts["files"] ?? {}).map(([name, file]) =>
    h("li", {}, `${name}: ${(/** @type {any} */ (file).bytes / 1e6).toFixed(1)} MB`, h("code", { class: "hash" }, ` ${/** @type {any} */ (file).sha256}`)),
  );
  const command = facts["command"];
  return h(
    "div",
    { class: "card" },
    h("h2", {}, "Where it comes from"),
    pairs({
      Base: facts["base"] && [facts["base"].name, facts["base"].license, facts["base"].source].filter(Boolean).join(", "),
      Training: facts["training"]?.summary,
      Calibration: facts["calibration_data"]?.summary,
      Commit: facts["git_commit"],
      Made: facts["created"],
      Libraries: facts["libraries"] && Object.entries(facts["libraries"]).map(([name, version]) => `${name} ${version}`).join(", "),
    }),
    command && h("div", { class: "command" }, h("code", {}, command), copyButton("Copy", () => command, "The command")),
    data.length > 0 && h("details", {}, h("summary", {}, "Data"), h("ul", {}, ...data)),
    h("details", {}, h("summary", {}, "Files"), h("ul", {}, ...files)),
  );
}

/** @param {Record<string, string | null | undefined | false>} facts */
function pairs(facts) {
  return h("dl", {}, ...Object.entries(facts).flatMap(([name, value]) => (value ? [h("dt", {}, name), h("dd", {}, value)] : [])));
}
