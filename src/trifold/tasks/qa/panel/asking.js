// Asks a question of the API.

import { call } from "../../api.js";

/** @typedef {{ text: string, start: number, end: number, score: number, passage: number }} Answer */
/** @typedef {{ question: string, answers: Answer[], no_answer_score: number | null, model: string, warnings: string[], verdict: { text: "yes" | "no", score: number } | null }} Reply */
/** @typedef {import("./snippets.js").Body} Body */

/**
 * A question with its reply.
 *
 * @typedef {object} Asked
 * @property {Body} body
 * @property {string[]} passages
 * @property {Reply} reply
 * @property {Answer[]} shown  the best and those that were nearly as good; for a reply without answers, the closest
 * @property {string} raw
 * @property {number} ms  from the click to the reply
 * @property {number | null} serverMs  of these, in the server
 */

const ALTERNATIVES = 5;
const LEAST = 0.005;

/** @type {Map<string, Promise<string>>} */
const kinds = new Map();

/**
 * Whether a model gives one answer or all; what cannot be learnt counts as one.
 *
 * @param {string} model
 * @returns {Promise<string>}
 */
function kind(model) {
  const known = kinds.get(model);
  if (known) return known;
  const asked = call(`v1/models/${encodeURIComponent(model)}/card`).then(
    (got) => got.value.facts?.task_settings?.answers ?? "one",
    () => "one",
  );
  kinds.set(model, asked);
  return asked;
}

document.addEventListener("trifold:back", () => kinds.clear()); // other models may be served now

/**
 * @param {string} question
 * @param {string[]} passages
 * @param {string | null} model  null for the default one
 * @param {AbortSignal} signal
 * @returns {Promise<Asked>}
 */
export async function ask(question, passages, model, signal) {
  const began = performance.now();
  /** @type {Body} */
  const body = passages.length === 1 && passages[0] !== undefined ? { question, passage: passages[0] } : { question, passages };
  if (model === null || (await kind(model)) === "one") body.top_k = ALTERNATIVES;
  if (model !== null) body.model = model;
  const got = await call("v1/answer", { json: body, signal });
  /** @type {Reply} */
  const reply = got.value;
  const ms = performance.now() - began;
  let shown = reply.answers.filter((answer, index) => index === 0 || answer.score >= LEAST);
  if (!shown.length && !reply.verdict) {
    const closest = await call("v1/answer", { json: { ...body, top_k: 1, always_answer: true }, signal });
    shown = closest.value.answers;
  }
  return { body, passages, reply, shown, raw: got.raw, ms, serverMs: got.serverMs };
}
