/** Colours of data: six arms of a diverging ramp through the paper, the same for a map, a number cell and a legend. */

const STOPS = [0, 0.12, 0.35, 0.65, 1];

const LIGHT = {
  value: { plus: "c6d9ec 7fadd6 3373b3 0d3b72", minus: "f9d3c2 f0976f cf4f26 8a2408" },
  weight: { plus: "bfe3dd 6cbfb3 1f8a7d 04514a", minus: "eedcb4 d2a65a 9a6a1c 5c3b06" },
  gradient: { plus: "dfd0ec b48fd3 7f49b0 4c1a7d", minus: "d5e6bd 98c16a 558a2c 2c5410" },
};
const DARK = {
  value: { plus: "17324f 1f5c96 5b9bdc c4e0ff", minus: "4a2418 93401f e5794a ffd3bd" },
  weight: { plus: "0f3b37 177168 4cb8aa c0f3ea", minus: "3d2e12 7d5a1a c9984a fbe3b3" },
  gradient: { plus: "34214a 693f98 ae85dd e9d7ff", minus: "24361a 446d27 86b95a dcf3c0" },
};
const RAMPS = { light: LIGHT, dark: DARK, contrast: LIGHT };
const PAPERS = { light: "fcfbf8", dark: "14161a", contrast: "ffffff" };

/** @param {string} hex @returns {[number, number, number]} */
const rgbOf = hex => [parseInt(hex.slice(0, 2), 16), parseInt(hex.slice(2, 4), 16), parseInt(hex.slice(4, 6), 16)];

/** @param {Kind} kind */
const family = kind => (kind === "weight" || kind === "gradient" ? kind : "value");

/**
 * Position on the ramp, -1..1. The jump at zero makes small visibly not zero.
 * @param {number} value
 * @param {number} range
 */
export function tone(value, range) {
  if (value === 0 || Number.isNaN(value)) return 0;
  const size = 0.05 + 0.95 * Math.min(1, Math.abs(value) / (range || 1));
  return value < 0 ? -size : size;
}

/**
 * The colour at a tone, linear in sRGB between the stops.
 * @param {Kind} kind @param {number} tone -1..1 @param {Scheme} look
 * @returns {[number, number, number]}
 */
export function rgb(kind, tone, look) {
  const arm = RAMPS[look][family(kind)][tone < 0 ? "minus" : "plus"].split(" ");
  const stops = [PAPERS[look], ...arm].map(rgbOf);
  const size = Math.min(1, Math.abs(tone));
  let k = 1;
  while (k < STOPS.length - 1 && size > STOPS[k]) k++;
  const part = (size - STOPS[k - 1]) / (STOPS[k] - STOPS[k - 1]);
  return /** @type {[number, number, number]} */ (
    stops[k].map((channel, c) => Math.round(stops[k - 1][c] + part * (channel - stops[k - 1][c])))
  );
}

/** The colour of a value as CSS. @param {Kind} kind @param {number} value @param {number} range @param {Scheme} look */
export function css(kind, value, range, look) {
  return `rgb(${rgb(kind, tone(value, range), look).join(" ")})`;
}

/** @param {number[]} channels relative luminance, WCAG */
export function luminance(channels) {
  const [r, g, b] = channels.map(c => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Black or white, whichever contrasts more with the colour of the value. */
export function ink(
  /** @type {Kind} */ kind,
  /** @type {number} */ value,
  /** @type {number} */ range,
  /** @type {Scheme} */ look,
) {
  const light = luminance(rgb(kind, tone(value, range), look));
  return (light + 0.05) ** 2 >= 1.05 * 0.05 ? "#000" : "#fff";
}

/** A horizontal legend from minus to plus as a CSS gradient. @param {Kind} kind @param {Scheme} look */
export function gradient(kind, look) {
  const tones = [-1, -0.65, -0.35, -0.12, 0, 0.12, 0.35, 0.65, 1];
  return `linear-gradient(90deg,${tones.map(t => `rgb(${rgb(kind, t, look).join(" ")}) ${50 + 50 * t}%`).join(",")})`;
}

const LEVELS = 512;
/** @type {Map<string, Uint32Array>} */
const tables = new Map();

/** Colours as canvas pixels (little-endian RGBA), index LEVELS is zero. @param {Kind} kind @param {Scheme} look */
export function table(kind, look) {
  const key = `${family(kind)} ${look}`;
  let made = tables.get(key);
  if (!made) {
    made = new Uint32Array(2 * LEVELS + 1);
    for (let k = 0; k <= 2 * LEVELS; k++) {
      const [r, g, b] = rgb(kind, (k - LEVELS) / LEVELS, look);
      made[k] = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    }
    tables.set(key, made);
  }
  return made;
}

/**
 * Colour `count` values into pixels.
 * @param {Uint32Array} pixels @param {ArrayLike<number>} data @param {number} start first value
 * @param {number} count @param {number} range @param {Uint32Array} colours from table()
 */
export function paint(pixels, data, start, count, range, colours) {
  const scale = 0.95 / (range || 1);
  for (let k = 0; k < count; k++) {
    const value = data[start + k];
    const size = value === 0 || Number.isNaN(value) ? 0 : Math.min(1, 0.05 + scale * Math.abs(value));
    pixels[k] = colours[Math.round(LEVELS * (value < 0 ? 1 - size : 1 + size))];
  }
}

/** The largest |value|. @param {ArrayLike<number>} data */
export function largest(data) {
  let most = 0;
  for (let k = 0; k < data.length; k++) {
    const size = Math.abs(data[k]);
    if (size > most && size !== Infinity) most = size;
  }
  return most;
}

/** A range rounded up to two digits, so that the legend tells the truth; 1 where there is nothing but zeros. */
export function roundUp(/** @type {number} */ most) {
  if (!(most > 0)) return 1;
  const exponent = Math.floor(Math.log10(most)) - 1;
  const digits = Math.ceil(most / 10 ** exponent - 1e-6);
  return exponent < 0 ? digits / 10 ** -exponent : digits * 10 ** exponent;
}

/**
 * A range while training: it grows at once and shrinks at most 5 % a second.
 * @param {number} before @param {number} now @param {number} seconds
 */
export const follow = (before, now, seconds) => (now >= before ? now : Math.max(now, before * 0.95 ** seconds));
