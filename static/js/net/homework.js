/** A gradient of one's own beside the right one, with a course's inputs or one's own. */

import { ask, get, once, post } from "./requests.js";

/** @returns {Promise<any[]>} what six courses ask, and what their public tests miss */
export const courses = () => once("api/courses");

/** @returns {Promise<any[]>} the operators, with their tensors and the schema of their settings */
export const operators = async () => (await once("api/ops")).ops;

/** A course's own inputs: an operator, its settings and tensors. @param {string} course @param {string} inputs */
export const inputsOf = (course, inputs) =>
  get(`api/courses/${encodeURIComponent(course)}/${encodeURIComponent(inputs)}`);

/**
 * @param {string} op
 * @param {{settings: any, tensors: any, gradients: Record<string, string>, layout: string}} call
 * @returns {Promise<any>} what is right, and the slip of what is not
 */
export const check = (op, call) => post(`api/ops/${encodeURIComponent(op)}/check`, { ...call, echo: true });

/** The same with all arrays in one .npz file. @param {string} op @param {File} file @returns {Promise<any>} */
export const checkFile = async (op, file) =>
  (
    await ask(`api/ops/${encodeURIComponent(op)}/check`, {
      method: "POST",
      body: file,
      headers: { "Content-Type": "application/x-npz" },
    })
  ).json();
