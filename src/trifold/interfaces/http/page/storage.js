// What the browser keeps for the page; where it keeps nothing, as long as the page lives.

/** @type {Map<string, string>} */
const here = new Map();

/**
 * @param {"localStorage" | "sessionStorage"} area
 * @param {string} name
 * @returns {string | null}
 */
export function kept(area, name) {
  try {
    return window[area].getItem(name);
  } catch {
    return here.get(name) ?? null; // site data is blocked
  }
}

/**
 * @param {"localStorage" | "sessionStorage"} area
 * @param {string} name
 * @param {string | null} value
 */
export function keep(area, name, value) {
  try {
    if (value === null) window[area].removeItem(name);
    else window[area].setItem(name, value);
  } catch {
    if (value === null) here.delete(name);
    else here.set(name, value); // blocked, or full
  }
}
