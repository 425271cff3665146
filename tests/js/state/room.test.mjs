// The fold of a room's messages on the page.

import "../vendor.mjs";

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { blame, headcount, spread } from "../../../static/js/core/room_words.js";

const room = await import("../../../static/js/state/room.js");

const item = {
  question: "?",
  kind: "choice",
  choices: [
    { name: "a", text: "a" },
    { name: "b", text: "b" },
  ],
};
const asked = (question, state = "open", more = {}) => ({ question, item, state, result: null, answer: null, ...more });
const state = (more = {}) => ({
  state: { role: "student", view: null, question: null, export: false, lead: "bring", frozen_until: 0, ...more },
  n: 3,
  now: 1000,
});

beforeEach(() => room.clear());

test("who comes in takes the whole state, and then what happens", () => {
  room.take(state({ you: { number: 4, nickname: "" }, question: asked(1) }));
  assert.equal(room.you.value.number, 4);
  assert.equal(room.seen.value, 3);
  assert.equal(room.following.value, true);
  room.take({ view: { hash: "#at=x", playing: false }, n: 4 });
  room.take({ ask: asked(2), n: 5 });
  room.take({ reveal: asked(1, "revealed"), n: 6 });
  assert.deepEqual([room.shown.value.hash, room.asked.value.question, room.seen.value], ["#at=x", 2, 6]);
});

test("letting go and bringing back set everybody's way", () => {
  room.take(state({ lead: "letgo" }));
  assert.equal(room.following.value, false);
  const before = room.called.value;
  room.take({ bring: true, n: 4 });
  assert.equal(room.following.value, true);
  assert.equal(room.called.value, before + 1);
  room.take({ letgo: true, n: 5 });
  assert.equal(room.following.value, false);
});

test("a lecturer's page never follows", () => {
  room.take(state({ role: "lecturer" }));
  assert.equal(room.following.value, false);
});

test("freezing ends by the phone's own clock, however wrong it is", () => {
  room.take(state());
  room.take({ freeze: 1180, now: 1000, n: 4 }, 5_000_000);
  assert.equal(room.frozenUntil.value, 5_000_000 + 180_000);
  room.take({ thaw: true, n: 5 });
  assert.equal(room.frozen.value, false);
  room.take(state({ frozen_until: 1010 }), 7_000_000);
  assert.equal(room.frozenUntil.value, 7_010_000);
});

test("an answer is kept until its own acknowledgement, and a later change stays kept", () => {
  room.take(state({ question: asked(1) }));
  room.kept.value = { 1: { question: 1, value: "b", answer_id: "second", seq: 2 } };
  room.take({ ack: "first", question: 1, counted: true, n: 5 });
  assert.equal(room.kept.value[1].answer_id, "second");
  room.take({ ack: "second", question: 1, counted: true, n: 6 });
  assert.deepEqual(room.kept.value, {});
  assert.equal(room.asked.value.answer.value, "b");
});

test("an answer that came too late says so", () => {
  room.take(state({ question: asked(1, "revealed") }));
  room.kept.value = { 1: { question: 1, value: "b", answer_id: "x", seq: 1 } };
  room.take({ ack: "x", question: 1, counted: false, n: 6 });
  assert.equal(room.asked.value.late, true);
  assert.deepEqual(room.kept.value, {});
});

test("the end is the end", () => {
  room.take(state());
  room.take({ ended: true, n: 9 });
  assert.equal(room.ended.value, true);
  room.clear();
  assert.deepEqual([room.ended.value, room.role.value, room.seen.value], [false, null, 0]);
});

test("the fault is named only as far as it is known", () => {
  const works = fault => blame(fault, "host").stations.map(each => each.works);
  assert.deepEqual(works("phone"), [false, null, null]);
  assert.deepEqual(works("way"), [true, false, null]);
  assert.deepEqual(works("server"), [true, true, false]);
  assert.deepEqual(works("starting"), [true, true, null]);
});

test("bars have mistakes in words, and heads are counted by state", () => {
  const rows = [
    { name: "right", text: "right", right: true, mistake: null, count: 1 },
    { name: "no-flip", text: "no-flip", right: false, mistake: "no-flip", count: 3 },
  ];
  const { rows: shown, most, all } = spread(rows);
  assert.deepEqual([shown[1].text, shown[1].mistake, most, all], ["no flip", null, 3, 4]);
  const who = ["following", "own", "lost", "following"].map(state => ({ state }));
  assert.deepEqual(headcount(who), { following: 2, own: 1, lost: 1 });
});
