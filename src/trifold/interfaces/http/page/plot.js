// The calibration plot: what the scores promise, and what came of it.

import { percent, svg } from "./dom.js";

/** @typedef {{ n: number, score: number, right: number }} Bin */

const SIZE = 320;
const LEFT = 52;
const TOP = 14;
const SIDE = 240;

/**
 * Mean score against the share of right answers, in bins of equal mass. On the diagonal the scores are what they say.
 *
 * @param {readonly Bin[]} bins
 * @param {string} name  of the data
 */
export function reliability(bins, name) {
  const x = (/** @type {number} */ share) => LEFT + SIDE * share;
  const y = (/** @type {number} */ share) => TOP + SIDE * (1 - share);
  const parts = [];
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(svg("line", { class: "grid", x1: x(0), x2: x(1), y1: y(tick), y2: y(tick) }));
    parts.push(svg("text", { class: "tick", x: x(0) - 8, y: y(tick) + 4, "text-anchor": "end" }, `${100 * tick} %`));
    parts.push(svg("text", { class: "tick", x: x(tick), y: y(0) + 18, "text-anchor": "middle" }, `${100 * tick} %`));
  }
  parts.push(svg("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
  parts.push(svg("polyline", { class: "line", points: bins.map((bin) => `${x(bin.score).toFixed(1)},${y(bin.right).toFixed(1)}`).join(" ") }));
  for (const bin of bins) {
    const title = svg("title", {}, `${bin.n} replies scored ${percent(bin.score)} on average; ${percent(bin.right)} of them are right`);
    parts.push(svg("circle", { class: "dot", cx: x(bin.score).toFixed(1), cy: y(bin.right).toFixed(1), r: 4 }, title));
  }
  parts.push(svg("text", { class: "axis", x: x(0.5), y: TOP + SIDE + 40, "text-anchor": "middle" }, "score"));
  parts.push(svg("text", { class: "axis", x: 0, y: 0, "text-anchor": "middle", transform: `translate(12 ${y(0.5)}) rotate(-90)` }, "share that is right"));
  const worst = bins.reduce((most, bin) => Math.max(most, Math.abs(bin.score - bin.right)), 0);
  const label = `Calibration on ${name}: ${bins.length} points; the farthest is ${percent(worst)} off the diagonal.`;
  return svg("svg", { class: "plot", viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", "aria-label": label }, ...parts);
}
