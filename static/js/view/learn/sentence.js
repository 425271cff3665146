/** A lesson's sentence: its words light cells, cells light its words, its numbers are the engine's. */

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";
import { tokens, written } from "../../core/sentence.js";
import { entriesOf } from "../../core/term_rows.js";
import { count } from "../../core/format.js";
import { at, parse, sizeOf } from "../../core/place.js";
import { explanationOf } from "../../net/session.js";
import { translate } from "../../state/language.js";
import { cellPlace, figure, lit, symbol, told } from "../step/step_state.js";
import { hover, infoOf, nameOf, numberAt, setHover, source, tensors } from "../../state/store.js";
import { colourOf } from "../step/symbol.js";

/** What is lit as long as its word is pinned. @type {{current: string|null}} */
const pinned = { current: null };

/** @param {{text: string}} props */
export const Sentence = ({ text }) =>
  html`${tokens(translate(text)).map((token, k) => html`<${Part} key=${k} token=${token} />`)}`;

/** Whether what the sentences speak of is there. */
export const ready = signal(false);

/** @param {{token: import("../../core/sentence.js").Token}} props */
function Part({ token }) {
  if (token.kind === "text") return token.text;
  if (token.kind === "italic") return html`<i>${token.text}</i>`;
  if (token.kind === "number") return html`<${Value} how=${token.how} place=${token.place} />`;
  return html`<${Hot} lights=${token.lights} inside=${token.inside} />`;
}

/** @param {{how: string, place: string}} props */
function Value({ how, place }) {
  if (!ready.value) return "…";
  if (how === "sum") return html`<${Products} place=${place} />`;
  const info = infoOf(place);
  if (how !== "value")
    return info ? (how === "size" ? count(sizeOf(info.shape)) : info.shape.slice(1).join(" × ")) : "…";
  const value = tensors.value && numberAt(place);
  return html`<span class="said">${value === undefined ? "…" : written(value)}</span>`;
}

/** The products of a sum as one writes them. @param {{place: string}} props */
function Products({ place }) {
  const [text, say] = useState("…");
  const what = source.value;
  useEffect(() => {
    let gone = false;
    explanationOf(place, { per_page: 20, outside: "hidden" }).then(
      told => {
        const terms = entriesOf(told).map(({ factors, exact }) =>
          factors.length ? factors.map(({ value }) => bracketed(value)).join("·") : bracketed(exact),
        );
        if (!gone) say(terms.join(" + ").replace(/^\((.*?)\)/, "$1"));
      },
      () => {},
    );
    return () => {
      gone = true;
    };
  }, [place, what]);
  return html`<span class="said">${text}</span>`;
}

/** @param {number} value */
const bracketed = value => (value < 0 ? `(${written(value)})` : written(value));

/** The places and the kind of what a word lights. @param {string[]} lights */
function lightOf(lights) {
  /** @type {string[]} */
  const places = [];
  let kind = "value";
  let name = null;
  for (const light of lights) {
    const now = figure.peek();
    if (light === "cell") {
      if (cellPlace.value) places.push(cellPlace.value);
    } else if (light === "reads") {
      const known = told.value?.part ?? told.value?.whole;
      if (known) places.push(...entriesOf(known).flatMap(entry => entry.places));
    } else if (light === "window" || light === "kernel") {
      const read = now && (light === "window" ? "plane" in now && now.plane : "kernel" in now && now.kernel);
      if (read) name = read.name;
      if (light === "kernel") kind = "weight";
    } else {
      const { index } = parse(light);
      const own = nameOf(light);
      if (index.length) places.push(at(own, index));
      else if (infoOf(own)) name = parse(light).tensor;
      kind = infoOf(own)?.kind ?? kind;
    }
  }
  const [first] = places;
  if (first) kind = infoOf(first)?.kind ?? kind;
  return { places, name, kind };
}

/** @param {{lights: string[], inside: import("../../core/sentence.js").Token[]}} props */
function Hot({ lights, inside }) {
  const key = lights.join(" ");
  const { places, name, kind } = lightOf(lights);
  const on = places.some(place => lit.value.has(place)) || (name !== null && symbol.value === name);
  const light = (/** @type {boolean} */ is) =>
    setHover(!is ? null : places.length ? { places } : name !== null ? { symbol: name } : null);
  const hold = () => {
    pinned.current = pinned.current === key ? null : key;
    light(pinned.current === key);
  };
  const words =
    places.length > 1 ? `lights ${places.length} cells` : places.length ? "lights 1 cell" : "lights its cells";
  return html`<span role="button" tabIndex=${0} class="hot ${colourOf(kind)} ${on ? "on" : ""}" title=${words}
    onPointerEnter=${() => light(true)} onPointerLeave=${() => pinned.current !== key && light(false)}
    onFocus=${() => light(true)} onBlur=${() => {
      pinned.current = null;
      light(false);
    }} onClick=${hold} onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        hold();
      }
      if (event.key !== "Escape" || !hover.peek()) return;
      event.stopPropagation();
      pinned.current = null;
      light(false);
    }}>${inside.map((token, k) => html`<${Part} key=${k} token=${token} />`)}<span
      class="spoken">, ${words}</span></span>`;
}
