// What the Node client programs share: their cases, strict checks, and one JSON line per scenario.
// Standard library only; it knows no client and no server. The Python twin is report.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export const CASES = JSON.parse(readFileSync(new URL("cases.json", import.meta.url), "utf-8"));
export const TOOLS = Object.fromEntries(
  CASES.tools.map((tool) => [tool.function.name, tool.function.parameters]),
);

const DETAIL_LIMIT = 4000;
const [baseURL, model, ...only] = process.argv.slice(2);

/** Where the program talks to; `baseURL` ends in `/v1`. */
export const PLACE = { baseURL, model, apiKey: "unused" };

/**
 * Runs `run.mjs BASE_URL MODEL [SCENARIO ...]`: prints a JSON line for each scenario, exits 1 when one fails. It then
 * waits until its standard input is closed, so that whoever started it can see what the cancelled stream left behind
 * while the client that cancelled it is still alive.
 */
export async function main(...scenarios) {
  const chosen = scenarios.filter(({ name }) => only.length === 0 || only.includes(name));
  const results = [];
  for (const scenario of chosen) results.push(await report(scenario));
  for await (const _ of process.stdin);
  process.exit(results.every(Boolean) ? 0 : 1);
}

async function report(scenario) {
  const line = { scenario: scenario.name };
  try {
    Object.assign(line, { ok: true, detail: await scenario() });
  } catch (error) {
    Object.assign(line, { ok: false, detail: String(error?.stack ?? error).slice(0, DETAIL_LIMIT) });
  }
  process.stdout.write(JSON.stringify(line) + "\n");
  return line.ok;
}

/** Asserts that `text` is JSON that fits one of the flat object schemas of cases.json. */
export function checkObject(text, schema) {
  checkFields(JSON.parse(text), schema);
}

/** Asserts that `value` has exactly the schema's properties, each of its type, enum and length. */
export function checkFields(value, schema) {
  assert.deepEqual(Object.keys(value).sort(), Object.keys(schema.properties).sort());
  for (const [name, rule] of Object.entries(schema.properties)) {
    assert.equal(typeof value[name], rule.type, `${name} of ${JSON.stringify(value)}`);
    assert.ok((rule.enum ?? [value[name]]).includes(value[name]), `${name} is not in its enum: ${value[name]}`);
    assert.ok(String(value[name]).length <= (rule.maxLength ?? 1000), `${name} is too long: ${value[name]}`);
  }
}

/** Asserts that the counts are positive, add up, and keep to the limit. */
export function checkUsage(prompt, completion, total, limit) {
  assert.ok(prompt > 0, `no prompt tokens: ${prompt}`);
  assert.ok(completion > 0 && completion <= limit, `${completion} completion tokens with a limit of ${limit}`);
  assert.equal(prompt + completion, total);
}
