// Positions: the API counts Unicode code points, the browser counts UTF-16 units.

/** Turns positions in one text from one count into the other. */
export class Offsets {
  /** @param {string} text */
  constructor(text) {
    /** @type {number[]}  where pairs of units begin, in units */
    this.pairs = [];
    for (const match of text.matchAll(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g)) this.pairs.push(match.index);
  }

  /**
   * @param {number} points  a position in code points
   * @returns {number} the same in UTF-16 units
   */
  units(points) {
    // The k-th pair, which begins at pairs[k], begins at pairs[k] - k in code points.
    return points + this.#before((pair, k) => pair - k < points);
  }

  /**
   * @param {number} units  a position in UTF-16 units; one within a pair counts as the pair's start
   * @returns {number} the same in code points
   */
  points(units) {
    const full = this.#before((pair) => pair + 1 < units);
    const cut = this.#before((pair) => pair < units) - full; // a position within a pair
    return units - full - cut;
  }

  /**
   * How many pairs fulfil a condition that holds for the first ones and none after.
   *
   * @param {(pair: number, k: number) => boolean} holds
   */
  #before(holds) {
    let low = 0;
    let high = this.pairs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (holds(this.pairs[middle] ?? 0, middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
