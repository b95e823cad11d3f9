// Scores in words, as the command line says them.

const WORDS = /** @type {const} */ ([
  [0.9, "almost certain"],
  [0.7, "likely"],
  [0.5, "rather likely"],
  [0.25, "uncertain"],
  [0, "weak"],
]);

/**
 * @param {number} score
 * @returns {string}
 */
export function inWords(score) {
  return WORDS.find(([least]) => score >= least)?.[1] ?? "weak";
}
