// openai-node: the raw stream, and the `.stream()` helper that wants a role, an order and a finish.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { CASES, PLACE, TOOLS, checkObject, checkUsage, main } from "../report.mjs";

const client = new OpenAI({ baseURL: PLACE.baseURL, apiKey: PLACE.apiKey, timeout: 60_000 });
const ASKED = { messages: [{ role: "user", content: CASES.prompt }], max_tokens: CASES.max_tokens };
const QUESTION = { role: "user", content: CASES.question };
const FORCED = { tools: CASES.tools, max_tokens: CASES.tool_tokens, parallel_tool_calls: false };
const SCHEMA = {
  messages: [{ role: "user", content: "Describe a river as JSON." }],
  max_tokens: CASES.schema_tokens,
  response_format: { type: "json_schema", json_schema: { name: "river", schema: CASES.schema } },
};

const ask = (request) => client.chat.completions.create({ model: PLACE.model, seed: CASES.seed, ...request });
const helper = (request) => client.chat.completions.stream({ model: PLACE.model, seed: CASES.seed, ...request });

/** Every chunk of a stream, after the checks that hold for any of them. */
async function read(request, choices = 1) {
  const chunks = await Array.fromAsync(await ask({ ...request, stream: true }));
  for (const field of ["id", "created", "model", "system_fingerprint", "object"]) {
    assert.equal(new Set(chunks.map((chunk) => chunk[field])).size, 1, `${field} changes`);
  }
  assert.equal(chunks[0].object, "chat.completion.chunk");
  for (let index = 0; index < choices; index++) {
    const parts = chunks.flatMap((chunk) => chunk.choices).filter((choice) => choice.index === index);
    assert.deepEqual(parts.map(({ delta }) => delta.role).filter(Boolean), ["assistant"]);
    assert.equal(parts[0].delta.role, "assistant");
    assert.equal(parts.filter((part) => part.finish_reason !== null).length, 1);
    assert.deepEqual(parts.at(-1).delta, {});
  }
  return chunks;
}

const textOf = (chunks, index = 0) =>
  chunks
    .flatMap((chunk) => chunk.choices)
    .filter((choice) => choice.index === index)
    .map((choice) => choice.delta.content ?? "")
    .join("");

/** The only call of a whole answer, checked against the schema of the tool that it names. */
function callOf(choice) {
  assert.equal(choice.finish_reason, "tool_calls");
  assert.equal(choice.message.tool_calls.length, 1);
  const [call] = choice.message.tool_calls;
  assert.ok(call.id);
  assert.equal(call.type, "function");
  checkObject(call.function.arguments, TOOLS[call.function.name]);
  return call;
}

const checkCounts = (usage, limit) =>
  checkUsage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, limit);

async function text_whole() {
  const answer = await ask(ASKED);
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.choices.length, 1);
  assert.equal(answer.choices[0].message.role, "assistant");
  assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
  assert.ok(answer.choices[0].message.content);
  return answer.choices[0].message.content;
}

async function text_stream() {
  const chunks = await read(ASKED);
  assert.ok(chunks.every((chunk) => !("usage" in chunk)), "a usage key that nobody asked for");
  assert.equal(textOf(chunks), await text_whole());
  return textOf(chunks);
}

async function stream_helper() {
  const stream = helper({ ...ASKED, stream_options: { include_usage: true } });
  let heard = "";
  stream.on("content", (delta) => (heard += delta));
  const answer = await stream.finalChatCompletion();
  assert.ok(heard);
  assert.equal(answer.choices[0].message.content, heard);
  assert.equal(answer.choices[0].message.role, "assistant");
  checkCounts(answer.usage, CASES.max_tokens);
  return heard;
}

async function stream_helper_tools() {
  const stream = helper({ ...FORCED, messages: [QUESTION], tool_choice: "required" });
  const answer = await stream.finalChatCompletion();
  return JSON.stringify(callOf(answer.choices[0]).function);
}

async function stream_helper_n() {
  const answer = await helper({ ...ASKED, n: 3 }).finalChatCompletion();
  assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1, 2]);
  assert.ok(answer.choices.every((choice) => choice.message.content));
  return JSON.stringify(answer.choices.map((choice) => choice.message.content));
}

async function tools_required() {
  const answer = await ask({ ...FORCED, messages: [QUESTION], tool_choice: "required" });
  return JSON.stringify(callOf(answer.choices[0]).function);
}

async function tools_stream() {
  const chunks = await read({ ...FORCED, messages: [QUESTION], tool_choice: "required" });
  const [opening, ...rest] = chunks.flatMap(({ choices }) => choices[0].delta.tool_calls ?? []);
  assert.ok(opening.id);
  assert.deepEqual([opening.index, opening.type, opening.function.arguments], [0, "function", ""]);
  for (const fragment of rest) assert.deepEqual(Object.keys(fragment).sort(), ["function", "index"]);
  checkObject(rest.map((fragment) => fragment.function.arguments).join(""), TOOLS[opening.function.name]);
  assert.equal(chunks.at(-1).choices[0].finish_reason, "tool_calls");
  return `${opening.function.name} in ${rest.length} fragments`;
}

async function tools_named() {
  const named = { type: "function", function: { name: "get_time" } };
  const answer = await ask({ ...FORCED, messages: [QUESTION], tool_choice: named });
  assert.equal(callOf(answer.choices[0]).function.name, "get_time");
  return answer.choices[0].message.tool_calls[0].function.arguments;
}

async function tools_round_trip() {
  const first = (await ask({ ...FORCED, messages: [QUESTION], tool_choice: "required" })).choices[0];
  const result = { role: "tool", tool_call_id: callOf(first).id, content: "17 degrees, rain" };
  const messages = [QUESTION, first.message, result];
  const answer = await ask({ ...FORCED, messages, tool_choice: "none", max_tokens: CASES.max_tokens });
  assert.ok(answer.choices[0].message.content);
  assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
  return answer.choices[0].message.content;
}

async function json_schema() {
  const [choice] = (await ask(SCHEMA)).choices;
  assert.equal(choice.finish_reason, "stop");
  checkObject(choice.message.content, CASES.schema);
  checkObject(textOf(await read(SCHEMA)), CASES.schema);
  return choice.message.content;
}

async function n_stream() {
  const chunks = await read({ ...ASKED, n: 3 }, 3);
  const texts = [0, 1, 2].map((index) => textOf(chunks, index));
  assert.ok(texts.every(Boolean), JSON.stringify(texts));
  return JSON.stringify(texts);
}

async function usage_stream() {
  const chunks = await read({ ...ASKED, stream_options: { include_usage: true } });
  const last = chunks.pop();
  assert.ok(chunks.every((chunk) => chunk.usage === null), "usage: null is missing");
  assert.deepEqual(last.choices, []);
  checkCounts(last.usage, CASES.max_tokens);
  return JSON.stringify(last.usage);
}

async function unknown_model() {
  for (const stream of [false, true]) {
    const error = await ask({ ...ASKED, model: "no-such-model", stream }).catch((raised) => raised);
    assert.ok(error instanceof OpenAI.NotFoundError, `got ${error}`);
    assert.equal(error.code, "model_not_found");
    assert.match(error.message, /no-such-model/);
    assert.ok(error.requestID, "no x-request-id");
  }
  return "NotFoundError, whole and streamed";
}

async function bad_parameter() {
  const error = await ask({ ...ASKED, temperature: 3, stream: true }).catch((raised) => raised);
  assert.ok(error instanceof OpenAI.BadRequestError, `got ${error}`);
  assert.deepEqual([error.code, error.param], ["decimal_above_max_value", "temperature"]);
  return error.message;
}

async function cancel() {
  const story = { messages: [{ role: "user", content: CASES.story }], max_tokens: CASES.cancel_tokens };
  let heard = "";
  for await (const chunk of await ask({ ...story, stream: true })) {
    heard += chunk.choices[0].delta.content ?? "";
    if (heard.length > 8) break;
  }
  assert.ok(heard);
  return heard;
}

await main(
  text_whole,
  text_stream,
  stream_helper,
  stream_helper_tools,
  stream_helper_n,
  tools_required,
  tools_stream,
  tools_named,
  tools_round_trip,
  json_schema,
  n_stream,
  usage_stream,
  unknown_model,
  bad_parameter,
  cancel,
);
