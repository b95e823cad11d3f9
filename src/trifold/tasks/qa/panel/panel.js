// The panel of question answering: its views.

import { register, styled } from "../../shell.js";
import { Ask } from "./ask.js";
import { Compare } from "./compare.js";
import { Corrections } from "./corrections.js";

styled("page/tasks/qa/panel.css");

/**
 * @param {string} id
 * @param {string} title
 * @param {number} order
 * @param {new () => { element: HTMLElement, show: (rest: string) => void }} Kind
 */
function view(id, title, order, Kind) {
  /** @type {{ element: HTMLElement, show: (rest: string) => void } | null} */
  let made = null;
  register({ id, title, order, open: () => (made ??= new Kind()).element, show: (rest) => made?.show(rest) });
}

view("ask", "Ask", 0, Ask);
view("compare", "Compare", 10, Compare);
view("corrections", "Corrections", 20, Corrections);
