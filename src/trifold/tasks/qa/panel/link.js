// A link that reproduces the screen. What was typed stands behind the `#`, which browsers never send to a server.

/** @typedef {{ question: string, passages: string[], models?: string[] }} Screen */

const LONGEST = 100_000;
const MOST_PASSAGES = 200;

/**
 * The words of a link that bring a screen back; null when they would be too long for a link.
 *
 * @param {Screen} screen
 * @returns {Promise<string | null>}
 */
export async function packed(screen) {
  const stream = new Blob([JSON.stringify(screen)]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  if (bytes.length > LONGEST) return null;
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * The screen of a link. Raises Error for words that are none.
 *
 * @param {string} words
 * @returns {Promise<Screen>}
 */
export async function unpacked(words) {
  try {
    const bytes = Uint8Array.from(atob(words.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
    const text = await bounded(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")));
    const found = JSON.parse(text);
    const texts = (/** @type {unknown} */ list) => (Array.isArray(list) ? list.filter((one) => typeof one === "string") : []);
    const passages = texts(found.passages).filter((text) => text.trim());
    if (passages.length > MOST_PASSAGES) throw new Error("too many");
    const question = typeof found.question === "string" ? (found.question.split("\n")[0] ?? "") : ""; // a link asks once
    return { question, passages, models: texts(found.models) };
  } catch {
    throw new Error("This link is cut or damaged, so what was on the screen cannot be shown. Copy it again, whole.");
  }
}

const MOST = 10_000_000;

/**
 * The text of a stream, which a hostile link could blow up to gigabytes.
 *
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} stream
 */
async function bounded(stream) {
  const reader = stream.getReader();
  const parts = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > MOST) throw new Error("too large");
    parts.push(value);
  }
  return new Blob(parts).text();
}
