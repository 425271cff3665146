/** The training room: controls, curves, answers and the live strip. */

import { useEffect, useId, useState } from "preact/hooks";

import { count, percent } from "../../core/format.js";
import * as net from "../../net/requests.js";
import { translate, typedNumber } from "../../state/language.js";
import { className, digital, run, show, status, thing, withArticle } from "../../state/store.js";
import * as training from "./state.js";
import { Curves } from "./chart.js";
import { html } from "../html.js";
import { Icon } from "../icons.js";
import { LiveStrip } from "./live_strip.js";
import { Thumb } from "./tiles.js";
import { compilingWords } from "../step/labels.js";

const { draft, isForeign, isOver, isWelcome, pending, settings } = training;

const BATCHES = [8, 16, 32, 64, 128, 256];
const EPOCHS = [1, 2, 3, 5, 10, 20];
const PACES = [1, 2, 5, 10, 30, 100, 300];

/** What the run does now, in words. */
function stateWords() {
  const { state, step, error, trouble, images_per_second: speed } = run.value;
  const { ready, compiling } = status.value;
  if (!ready) {
    return compiling ? compilingWords(compiling) : "The server is getting ready.";
  }
  if (isWelcome.value) return "The first visit's network, kept as it is. Start makes one of your own, from step 0.";
  if (isForeign.value)
    return `Somebody else's run, watched${state === "running" && speed ? `: ${count(speed)} images per second` : ""}. A
      copy of your own goes on from here.`;
  if (state === "running") return speed ? `${count(speed)} images per second` : "starting";
  const why = trouble ? ` ${trouble.words[0].toUpperCase()}${trouble.words.slice(1)}.` : "";
  if (state === "finished") return `Finished after ${count(step)} steps.${why}`;
  if (state === "failed") return trouble ? `Stopped.${why}` : `Failed: ${error}.`;
  if (trouble) return `It no longer learns.${why}`;
  return state === "created" ? "Not started yet." : "Paused.";
}

function Progress() {
  const { step, epoch: finished, images_seen: position, images_per_epoch: images } = run.value;
  const whole = position === 0 && step > 0;
  const [epoch, seen] = whole ? [finished, images] : [finished + 1, position];
  const share = images ? seen / images : 0;
  return html`<div class="progress">
    <h2>Epoch ${count(epoch)}, step ${count(step)}</h2>
    <div class="bar" role="progressbar" aria-label="Progress through the epoch" aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${Math.round(100 * share)}><i style=${{ width: `${100 * share}%` }} /></div>
    <p class="soft">${count(seen)} of ${count(images)} ${images === 1 ? "image" : "images"}</p>
    <p class=${run.value.state === "failed" || run.value.trouble ? "" : "soft"}
      role=${run.value.trouble ? "alert" : undefined}>${stateWords()}</p>
  </div>`;
}

function Commands() {
  const running = run.value.state === "running";
  const { ready } = status.value;
  const over = isOver.value;
  if (isForeign.value)
    return html`<div class="commands"><button class="button primary"
      onClick=${training.copy}>Make my own copy</button></div>`;
  const why = ready ? "" : "Training waits until the arithmetic is compiled";
  const [words, act] = running
    ? ["Pause", training.pause]
    : [over ? "Start again" : run.value.step > 0 && !isWelcome.value ? "Go on" : "Start", training.start];
  return html`<div class="commands">
    <button class="button primary" aria-disabled=${!ready} title=${why}
      onClick=${
        (/** @type {MouseEvent} */ event) => ready && event.detail < 2 && act() /* a double click is one */
      }><${Icon} name=${running ? "pause" : "play"} /> ${words}</button>
    ${
      !over &&
      html`<button class="button" aria-disabled=${!ready} title=${why || "exactly one minibatch"}
      onClick=${() => ready && training.oneStep()}><${Icon} name="play" /> One step</button>`
    }
  </div>`;
}

/** @param {{name: string, value: any, options: [any, string, string?][], onChange: (value: any) => void}} props */
function Choice({ name, value, options, onChange }) {
  const all = options.some(([option]) => option === value)
    ? options
    : /** @type {[any, string, string?][]} */ ([...options, [value, String(value)]]);
  const at = all.findIndex(([option]) => option === value);
  return html`<label class="row"><span>${name}</span>
    <select value=${at} onChange=${(/** @type {any} */ event) => onChange(all[event.currentTarget.value][0])}>
      ${all.map(
        (
          [option, words, misfit],
          k,
        ) => html`<option key=${String(option)} value=${k} translate=${name === "network" ? "no" : undefined}
        disabled=${Boolean(misfit) && k !== at} selected=${k === at}>${words}</option>`,
      )}
    </select></label>`;
}

/** What an entry takes, in words. @param {{least: number, most: number, below: number, whole: boolean}} bounds */
const expected = ({ least, most, below, whole }) =>
  `${whole ? "a whole number" : "a number"}${
    below < Infinity
      ? ` from ${least} up to, not including, ${below}`
      : most < Infinity
        ? ` from ${least} to ${count(most)}`
        : `, ${least} or more`
  }`;

/**
 * A number that is taken over when it is left or Enter is pressed; what cannot be one is put back, with a word why.
 * @param {{name: string, value: number, least: number, most?: number, below?: number, whole?: boolean,
 *   onChange: (value: number) => void}} props
 */
function Entry({ name, value, least, most = Infinity, below = Infinity, whole = false, onChange }) {
  // What is being typed stays, however often the run's news draw the row again.
  const [typed, setTyped] = useState(/** @type {string|null} */ (null));
  const [refused, refuse] = useState(/** @type {string|null} */ (null));
  const why = useId();
  const drafted = draft.value;
  useEffect(() => refuse(null), [drafted]);
  const take = (/** @type {any} */ event) => {
    setTyped(null);
    const text = event.currentTarget.value;
    const asked = typedNumber(text);
    const fits =
      text.trim() !== "" && asked >= least && asked <= most && asked < below && (!whole || Number.isInteger(asked));
    if (fits && asked !== value) onChange(asked);
    else event.currentTarget.value = translate(String(value));
    refuse(fits ? null : text.trim());
  };
  return html`<label class="row"><span>${name}</span>
    <input type="text" inputmode=${whole ? "numeric" : "decimal"} autocomplete="off"
      value=${typed ?? translate(String(value))}
      aria-describedby=${refused === null ? undefined : why}
      onInput=${(/** @type {any} */ event) => {
        setTyped(event.currentTarget.value);
        refuse(null);
      }} onChange=${take} /></label>
    ${
      refused !== null &&
      html`<p class="refused" id=${why} role="status">Expected ${expected({ least, most, below, whole })}, got ${
        refused === "" ? "nothing" : `“${refused.slice(0, 24)}”`
      }. It stays at ${value}.</p>`
    }`;
}

/**
 * What an optimizer can do without: settings that are off, or next to nothing, unless somebody asks.
 * @param {any} schema
 */
const isMinor = ({ default: usual }) => !(Number([usual].flat()[0]) >= 0.01);

/**
 * The settings of what is chosen by name, whatever they are called; the minor ones folded away. What may be null stays
 * so: then it follows the run.
 * @param {{chosen: {name: string} & Record<string, any>, offered: {name: string, settings: any}[],
 *   onChange: (chosen: any) => void}} props
 */
function OwnEntries({ chosen, offered, onChange }) {
  const [open, setOpen] = useState(false);
  const set = (/** @type {any} */ change) => onChange({ ...chosen, ...change });
  const own = training
    .settingsOf(offered, chosen.name)
    .filter(([key, { type }]) => key !== "learning_rate" && !Array.isArray(type));
  const row = (/** @type {[string, any]} */ [key, schema]) => {
    const name = key.replaceAll("_", " ");
    const value = chosen[key] ?? schema.default;
    const change = (/** @type {any} */ to) => set({ [key]: to });
    const entry = (
      /** @type {any} */ kind,
      /** @type {string} */ label,
      /** @type {number} */ one,
      /** @type {(to: number) => void} */ to,
    ) => html`
      <${Entry} key=${label} name=${label} value=${one} least=${kind.minimum ?? kind.exclusiveMinimum}
        most=${kind.maximum}
        below=${kind.exclusiveMaximum} onChange=${to} />`;
    if (schema.type === "boolean")
      return html`<${Choice} key=${key} name=${name} value=${value} options=${[[false, "no"], [true, "yes"]]}
        onChange=${change} />`;
    if (schema.enum)
      return html`<${Choice} key=${key} name=${name} value=${value}
        options=${schema.enum.map((/** @type {string} */ one) => [one, one])} onChange=${change} />`;
    if (!Array.isArray(value)) return entry(schema, name, value, change);
    return value.map((one, k) =>
      entry(schema.items, `${name.replace(/s$/, "")} ${k + 1}`, one, to =>
        change(value.map((old, j) => (j === k ? to : old))),
      ),
    );
  };
  const minor = own.filter(([, schema]) => isMinor(schema));
  return html`${own.filter(([, schema]) => !isMinor(schema)).map(row)}
    ${
      minor.length > 0 &&
      html`<button class="row more" aria-expanded=${open}
      onClick=${() => setOpen(!open)}>more of ${chosen.name}</button>`
    }
    ${open && minor.map(row)}`;
}

/** What few runs need: clipping, the order of the images, shifts; folded away. */
function MoreEntries() {
  const [open, setOpen] = useState(false);
  const { max_norm, shuffle, drop_last, shift } = /** @type {Settings} */ (settings.value);
  const { plan } = training;
  const yesOrNo = [
    [false, "no"],
    [true, "yes"],
  ];
  return html`<button class="row more" aria-expanded=${open} onClick=${() => setOpen(!open)}>more of training</button>
    ${
      open &&
      html`
      <${Choice} name="clip gradients" value=${max_norm !== null} options=${yesOrNo}
        onChange=${(/** @type {boolean} */ clip) => plan({ max_norm: clip ? 1 : null })} />
      ${
        max_norm !== null &&
        html`<${Entry} name="largest norm" value=${max_norm} least=${1e-6} most=${1e12}
          onChange=${(/** @type {number} */ norm) => plan({ max_norm: norm })} />`
      }
      <${Choice} name="shuffle" value=${shuffle} options=${yesOrNo}
        onChange=${(/** @type {boolean} */ to) => plan({ shuffle: to })} />
      <${Choice} name="drop last batch" value=${drop_last} options=${yesOrNo}
        onChange=${(/** @type {boolean} */ to) => plan({ drop_last: to })} />
      <${Entry} name="shift, pixels" value=${shift} least=${0} most=${64} whole
        onChange=${(/** @type {number} */ to) => plan({ shift: to })} />`
    }`;
}

function useList(/** @type {() => Promise<any[]>} */ ask) {
  const [answer, setAnswer] = useState(/** @type {any[]} */ ([]));
  useEffect(() => void ask().then(setAnswer, net.showError), []);
  return answer;
}

/** A data set's name as its title spells it. @param {string} name @param {string} title */
const short = (name, title) =>
  title.toLowerCase().startsWith(name.toLowerCase()) ? title.slice(0, name.length) : name;

/** How a network is trained that says nothing of it. */
const USUAL = { schedule: { name: "constant" }, max_norm: null, shuffle: true, drop_last: false, shift: 0 };

function Settings() {
  const models = useList(net.models);
  const datasets = useList(net.datasets);
  const now = /** @type {Settings} */ (settings.value);
  const { plan, adjust, startingWith: begin } = training;
  const chooseModel = (/** @type {string|null} */ model) => {
    const { defaults, example } = models.find(({ name }) => name === model);
    const images = example?.x.length ?? run.value.images_per_epoch;
    const { steps, epochs = steps / Math.ceil(images / defaults.batch_size), ...more } = defaults;
    plan({ model, epochs, ...USUAL, ...more });
  };
  const takes = models.find(({ name }) => name === now.model)?.input ?? run.value.network.input;
  const data = datasets.map(({ name, title, splits, shape, problem }) => {
    const misfit = problem
      ? "cannot be read"
      : shape.join() === takes.join()
        ? ""
        : `${shape.join("×")} does not fit ${takes.join("×")}`;
    return [name, `${short(name, title)}, ${misfit || count(splits.train)}`, misfit];
  });
  const own = datasets.length > 0 && !datasets.some(({ name }) => name === now.dataset);
  const changed = pending.value;
  return html`<div class="settings">
    ${models
      .filter(({ button }) => button)
      .map(
        ({ name, title, button }) => html`<button key=${name} class="button" aria-disabled=${!status.value.ready}
        title=${`Trains “${title}” from step 0`}
        onClick=${() => status.value.ready && training.trainAtOnce(name)}><${Icon} name="play" /> ${button}</button>`,
      )}
    <${Choice} name="network" value=${now.model} options=${[
      ...(now.model === null ? [[null, "its own", "it is no preset"]] : []),
      ...models.map(({ name }) => [name, name]),
    ]}
      onChange=${chooseModel} />
    ${
      own
        ? html`<div class="row"><span>data</span><b>the model's own</b></div>`
        : html`
      <${Choice} name="data" value=${now.dataset} options=${data}
        onChange=${(/** @type {string} */ dataset) => plan({ dataset })} />`
    }
    <${Choice} name="optimizer" value=${now.optimizer.name}
      options=${training.optimizers.value.map(({ name }) => [name, name])}
      onChange=${(/** @type {string} */ name) => plan({ optimizer: begin(training.optimizers.value, name) })} />
    <${Entry} name="learning rate" value=${now.optimizer.learning_rate} least=${0}
      onChange=${(/** @type {number} */ to) => adjust({ learning_rate: to })} />
    <${OwnEntries} chosen=${now.optimizer} offered=${training.optimizers.value}
      onChange=${(/** @type {any} */ optimizer) => plan({ optimizer })} />
    <${Choice} name="schedule" value=${now.schedule.name}
      options=${training.schedules.value.map(({ name, title }) => [name, title.toLowerCase()])}
      onChange=${(/** @type {string} */ name) => plan({ schedule: begin(training.schedules.value, name) })} />
    <${OwnEntries} chosen=${now.schedule} offered=${training.schedules.value}
      onChange=${(/** @type {any} */ schedule) => plan({ schedule })} />
    <${Choice} name="batch" value=${now.batch_size} options=${BATCHES.map(size => [size, String(size)])}
      onChange=${(/** @type {number} */ batch_size) => plan({ batch_size })} />
    <${Entry} name="seed" value=${now.seed} least=${0} whole onChange=${(/** @type {number} */ seed) => plan({ seed })}
      />
    <${Choice} name="epochs" value=${now.epochs} options=${EPOCHS.map(epochs => [epochs, String(epochs)])}
      onChange=${(/** @type {number} */ epochs) => plan({ epochs })} />
    <${Choice} name="speed" value=${now.pace}
      options=${[
        ...PACES.map(pace => [
          pace,
          `${pace} ${pace === 1 ? "step" : "steps"} a
        second`,
        ]),
        [null, "as fast as it goes"],
      ]}
      onChange=${(/** @type {number|null} */ pace) => adjust({ pace })} />
    <${MoreEntries} />
    <div class="again">
      <button class="button ${changed.length ? "wanted" : ""}" aria-disabled=${!status.value.ready}
        onClick=${() => status.value.ready && training.restart()}>Start again from step 0</button>
      ${
        changed.length > 0 &&
        html`<p class="soft" role="status">A new ${changed.join(", ").replace(/, (?=[^,]*$)/, " and ")} takes a new run:
          it starts again from step 0.${" "}
        <button class="link" onClick=${() => {
          draft.value = {};
        }}>Keep this one</button></p>`
      }
    </div>
  </div>`;
}

/** Above this share an answer goes without its certainty. */
const CERTAIN = 0.995;

/** @param {number[]} probabilities */
const answerOf = probabilities => probabilities.indexOf(Math.max(...probabilities));

/** @param {{digit: Digit, probabilities: number[]|undefined}} props */
function Answer({ digit, probabilities }) {
  const { index, label } = digit;
  const answer = probabilities && answerOf(probabilities);
  const share = probabilities?.[/** @type {number} */ (answer)] ?? 1;
  const wrong = answer !== undefined && answer !== label;
  const certainty = percent(share, 0);
  const words =
    `test ${thing.value} ${index}, ${withArticle(label)}: ` +
    (answer === undefined
      ? "no answer yet"
      : `the network says ${className(answer)}${wrong ? ", wrong" : ""}, ${certainty} certain`);
  return html`<li><button class="answer ${wrong ? "wrong" : ""}" title="Open in Explore"
      onClick=${() => training.openDigit(index)}>
    <${Thumb} dataset=${training.digits.value?.dataset} split="test" index=${index} width=${56} />
    <span class="spoken">${words}</span>
    <span aria-hidden="true"><b>${answer === undefined ? "–" : className(answer)}</b>${
      wrong ? html`<b class="not">✗ is ${className(label)}</b>` : share < CERTAIN ? html`<i>${certainty}</i>` : null
    }</span>
  </button></li>`;
}

/** What the network answers now to twenty test digits that stay the same. */
function Answers() {
  const shown = training.digits.value?.digits ?? [];
  const known = training.answers.value?.run === run.value?.id ? training.answers.value : null;
  const right = known ? shown.filter(({ label }, k) => answerOf(known.probabilities[k]) === label).length : null;
  return html`<section class="answers" aria-labelledby="answers-title">
    <header><h2 id="answers-title">Its answers now</h2>
      ${right !== null && html`<p class="soft">${right} right, ${shown.length - right} wrong</p>`}</header>
    ${
      shown.length
        ? html`<ul class=${digital.value ? "" : "named"}>${shown.map(
            (digit, k) => html`
      <${Answer} key=${digit.index} digit=${digit} probabilities=${known?.probabilities[k]} />`,
          )}</ul>`
        : html`<p class="soft">${
            training.digits.value
              ? `This data has no test ${thing.value}s.`
              : `Fetching twenty
          test ${thing.value}s.`
          }</p>`
    }
  </section>`;
}

/** In the training room the keys for playing a pass train instead. @param {KeyboardEvent} event */
function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = /** @type {HTMLElement} */ (event.target);
  if (target.closest?.("input, select, textarea, dialog") || (event.key === " " && target.closest?.("button, a")))
    return;
  const acts = {
    " ": () => (run.peek()?.state === "running" ? training.pause() : training.start()),
    ".": training.oneStep,
  };
  const ignored = [",", "[", "]", "<", ">", "+", "=", "-"];
  const act = acts[/** @type {keyof typeof acts} */ (event.key)];
  if (!act && !ignored.includes(event.key)) return;
  event.preventDefault();
  event.stopPropagation();
  if (status.peek().ready && !event.repeat) void act?.();
}

export function Train() {
  useEffect(() => {
    const end = training.follow();
    addEventListener("keydown", keys, { capture: true });
    return () => {
      end();
      removeEventListener("keydown", keys, { capture: true });
    };
  }, []);
  if (!run.value)
    return html`<main class="train waiting" aria-label="Train"><p class="serif">Waiting for the server.</p></main>`;
  return html`<main class="train" aria-label="Train">
    <h1 class="spoken">Train the network</h1>
    <div class="controls">
      <${Commands} /><${Progress} /><${Settings} />
      ${
        !pending.value.length &&
        html`<p class="serif then">Pause, then open any recent step in <button class="link"
        onClick=${() => show("explore")}>Explore</button>: every number of it is still there.</p>`
      }
    </div>
    <${Curves} /><${Answers} /><${LiveStrip} />
  </main>`;
}
