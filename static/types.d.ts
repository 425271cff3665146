/** What the modules under js/ speak of to one another; only `tsc` reads this. */

type Signal<T> = import("@preact/signals-core").Signal<T>;

// The timeline: what the server says about a network's pass.

type Kind = "value" | "weight" | "gradient" | "index";
type Letters = Record<string, number>;
type Axis = { pitch: number; offset: number; letters: Letters };
/** `joint` stands before it: + or − where a term begins, × or ÷ within one. */
type Read = {
  name: string;
  tensor: string;
  kind: string;
  role: string;
  joint: string;
  axes: (Axis | null)[];
  scatter: Scatter | null;
};
/** The sum from the side of one cell that is read, by the letters in `free`: where it adds to, and with what. */
type Scatter = { free: Letters; bound: Letters; axes: Axis[]; target: Axis[]; factor: string; stamp: Axis[] };
type Equation = { text: string; mathml: string };
type Phase = {
  place: string;
  layer: string;
  tensor: string;
  part: "forward" | "loss" | "backward" | "update";
  label: string;
  head: string;
  note: string;
  kind: "value" | "weight" | "gradient";
  shape: number[];
  view: boolean;
  form: "sum" | "max" | "each";
  sentence: string;
  equation: Equation;
  general: Equation;
  free: Letters;
  bound: Letters;
  divisor: number | null;
  reads: Read[];
  steps: { name: string; equation: Equation }[];
};
type LayerInfo = {
  name: string;
  op: string;
  title: string;
  inputs: string[];
  shape: number[];
  parameters: Record<string, number[]>;
  view: boolean;
};
type TensorInfo = { shape: number[]; kind: Kind; title: string; whole: boolean };
type Timeline = {
  layers: LayerInfo[];
  tensors: Record<string, TensorInfo>;
  aliases: Record<string, string>;
  phases: Phase[];
};
/** `cell` counts in scan order; -1 stands before the first one. */
type Position = { phase: number; cell: number };
/** Where play is in a phase: milliseconds at speed 1 since its first slow cell, `from`. */
type Clock = { phase: number; time: number; from: number };
type Pace = { from: number; speed: number };
type Place = { layer: string; tensor: string; index: number[]; step: number | null };

// What is looked at.

type Tensor = { shape: number[]; data: Float32Array | Int32Array; kind: Kind };
/** A tensor of a binary frame. */
type Sent = { layer: string; tensor: string; shape: number[]; data: Float32Array | Int32Array };
/** A number set by hand. */
type Edit = { place: string; value: number };
/** One image through the parameters of a step, or an image of a step's own minibatch. */
type Source =
  | {
      kind: "pass";
      pass?: string;
      dataset?: string;
      split?: string;
      index?: number;
      drawn?: boolean;
      /** Rows, or planes of rows. */
      x?: number[][] | number[][][];
      target?: number;
      edits?: Edit[];
    }
  | { kind: "step"; step: number; sample: number }
  | {
      kind: "bench";
      timeline: Timeline;
      tensors: Map<string, Tensor>;
      explain: (place: string, options: Record<string, any>) => Promise<any>;
    };
/** places: all lit together, as words of a lesson light them. */
type Hover = { place: string; index?: number[] } | { places: string[] } | { symbol: string } | null;
type Aspect = "sum" | "nudge" | "reach" | "history";
type Scheme = "light" | "dark" | "contrast";

// The stage, in design pixels (1/16 rem).

type Box = { x: number; y: number; width: number; height: number };
/** `rows` × `cols` cells that lie next to each other in the tensor from `start` on. */
type Tile = Box & { rows: number; cols: number; start: number; name: string };
type Pages = { first: number; step: number; of: number };
/**
 * prefix: where the numbers are stored; next: the tensor that will take its place in the update;
 * shares: the tensors under one legend, so on one range.
 */
type Block = Box & {
  prefix: string;
  row: "values" | "gradients";
  kind: string;
  look: "tiles" | "bars" | "strip" | "number";
  tiles: Tile[];
  size: number;
  next: string | null;
  shares: string[];
  pages: Pages | null;
};
type Column = Box & {
  layer: string;
  shows: string;
  name: string;
  symbol: string | null;
  kind: "maps" | "weights" | "bars" | "loss";
  caption: string;
  system: number;
  blocks: Block[];
};
/** Where the rows of a system stand, from its top. */
type Rows = { top: number; tall: number; values: number; track: number; gradients: number; height: number };
/** From a layer to those that read it other than the next one; lanes are counted from the names upwards. */
type SkipConnection = { from: string; to: string[]; lane: number };
type Layout = {
  width: number;
  height: number;
  columns: Column[];
  blocks: Block[];
  systems: number[];
  rows: Rows;
  connections: SkipConnection[];
};

// The step view.

type Figure =
  | { kind: "slide"; plane: Read; kernel: Read; turned: boolean; spread: boolean; back: boolean; focus: string | null }
  | { kind: "product"; plane: Read; over: Read; focus: string | null }
  | { kind: "pool"; plane: Read }
  | { kind: "route"; plane: Read; gates: Read[] }
  | { kind: "cells"; reads: Read[]; update: boolean }
  | { kind: "ladder"; reads: Read[] }
  | { kind: "terms"; reads: Read[]; back: boolean };
/** One cell of a window: its letters, where it lies in the plane (null: a gap or padding) and its kernel's cell. */
type WindowCell = { at: Letters; index: number[] | null; pad: boolean; letter: string; kernelIndex: number[] | null };
type Numbers = { shape: number[]; data: ArrayLike<number> };
/** index: where a stamp's cell lies in what is written (null: outside); factor: the kernel's cell, if any. */
type StampCell = { row: number; column: number; index: number[] | null; factor: number[] | null; letter: string };
type Stamp = (StampCell & { weight: number })[];
/** One cell that is read (index null: none is there), with its stamp; here: what of it lands on the written cell. */
type TurnPart = {
  index: number[] | null;
  kernelIndex: number[] | null;
  letter: string;
  value: number;
  weight: number;
  product: number;
  stamp: Stamp;
  here: Stamp[number] | null;
};
type Turn = {
  parts: TurnPart[];
  columns: number;
  field: Rect;
  totals: { gather: number; scatter: number; matrix: number };
};
type StampPart = { index: number[]; value: number; product: number; stamp: Stamp; here: Stamp[number] | null };
/** How a sum is looked at: from what is written, from what is read, as a matrix, or all of these. */
type Way = "gather" | "scatter" | "matrix" | "all";
/** gap: between two cells that a stride keeps apart; `index` is the cell before. */
type ReadCell = { tensor: string; index: number[]; value: number; inside: boolean; gap?: boolean };
/** What a factor of a term is; reads: positions in the explanation's reads. */
type TermPart = {
  role: "read" | "made" | "divisor" | "made_divisor" | "constant" | "constant_divisor" | "test" | "winner";
  value: number;
  reads: number[];
  text: string;
};
type Term = {
  reads: number[];
  factors: number[];
  value: number;
  at?: Letters;
  family?: number;
  label?: string;
  parts: TermPart[];
};
type Group = { letter: string; at: number; value: number; count: number; first: number };
/** added: what is added at the end (a bias), where it stands on another page. */
type Explanation = {
  place: string;
  value: number;
  equation: Equation;
  sentence?: string;
  reads: ReadCell[];
  terms: Term[];
  terms_total: number;
  page: number;
  pages: number;
  page_sum: number;
  remainder: number;
  groups?: Group[];
  largest: boolean;
  added?: Entry[];
};
/** A number that was read (perhaps divided by), or what the sentence itself puts in. */
type Factor = {
  value: number;
  place: string | null;
  constant: boolean;
  divisor: boolean;
  tensor: string | null;
  inside: boolean;
  gap?: boolean;
  over?: string; // what is divided by, where that is more than the number that was read
  // what was made of the numbers that were read, before it is multiplied
  made?: { text: string; places: string[]; values: number[] };
};
type Entry = {
  id: string;
  label: string;
  at: Letters;
  factors: Factor[];
  exact: number;
  places: string[];
  group: number | null;
  count: number;
};
type Rect = { row: number; column: number; rows: number; columns: number };
/** Which index stands at a row and column of a drawn tensor, and where an index stands. */
type Picture = {
  prefix: string;
  shape: number[];
  kind: any;
  data: ArrayLike<number>;
  offset: number;
  rows: number;
  columns: number;
  tile: { rows: number; columns: number };
  indexAt: (row: number, column: number) => number[];
  spotOf: (index: number[]) => [number, number] | null;
  holes: Rect[];
  title: string;
};

// The training room and the drawing pad.

type Digit = { index: number; label: number };
type Optimizer = { name: string; learning_rate: number } & Record<string, any>;
type Settings = {
  model: string | null;
  dataset: any;
  optimizer: Optimizer;
  schedule: { name: string } & Record<string, any>;
  max_norm: number | null;
  batch_size: number;
  shuffle: boolean;
  drop_last: boolean;
  shift: number;
  seed: number;
  epochs: number;
  pace: number | null;
};
/** One entry a recorded step, steps rising. */
type Columns = { step: number[]; loss: number[]; accuracy: number[] };
/** The minibatches; now and then 1,000 test images; at each epoch's end the whole test set. */
type Metrics = Columns & { probe: Columns; test: Columns & { epoch: number[] } };
/** Steps at the left and right edge, the value at the upper edge (the lower is 0), and the edges in pixels. */
type Frame = {
  first: number;
  last: number;
  top: number;
  left: number;
  right: number;
  above: number;
  below: number;
};
/** Tensors by the prefix of their places. */
type LiveTensors = { input: string; weights: string | null; maps: string[]; answers: string };
/** How far the first start has come with its kernels. */
type Compiling = { done: number; total: number; name: string; seconds_left: number | null };
/** From 0 (paper) to 1, row by row. */
type Ink = { width: number; height: number; data: ArrayLike<number> };
/** Ink that can be drawn on. */
type Pad = { width: number; height: number; data: Float32Array };
/** x and y in pixels of the pad. */
type Point = [number, number];

// Networks as they are built.

type NetworkDocument = {
  input: number[];
  layers: { name: string; op: string; settings: Record<string, any>; inputs: string[] }[];
  loss: { op: string; settings: Record<string, any> };
};
type WindowSpan = { size: number; before: number; after: number; kernel: number; dilation: number; stride: number };
type Field = { size: number[]; stride: number[]; start: number[] };
type Misfit = {
  detail: string;
  sentence: string;
  loc: (string | number)[];
  span: WindowSpan | null;
  fixes: { words: string; setting: string | null; arithmetic: string; shape: number[]; network: any }[];
};
type DraftLayer = {
  name: string;
  op: string;
  inputs: string[];
  state: "fits" | "misfit" | "waits";
  figures: { shape: number[]; parameters: number; multiply_adds: number; receptive_field: Field } | null;
  kernel: string;
  window: Field | null;
  arithmetic: { output: string; parameters: string; sees: string; products: string };
  misfit: Misfit | null;
  waits_for: string | null;
};
type Draft = {
  whole: boolean;
  layers: DraftLayer[];
  loss: Misfit | null;
  parameters: number;
  multiply_adds: number;
};
type OpDescription = {
  name: string;
  title: string;
  settings: any;
  layer_settings: any;
  loss: boolean;
  inputs: { least: number; most: number } | null;
};
