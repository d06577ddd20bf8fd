// The Vercel AI SDK over @ai-sdk/openai-compatible. It validates each event, wants an id and a finish_reason, and
// reads choice 0 only, so there is no scenario for n.

import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, isStepCount, jsonSchema, Output, streamText, tool } from "ai";
import { CASES, PLACE, TOOLS, checkFields, checkUsage, main } from "../report.mjs";

const provider = createOpenAICompatible({
  name: "riverrun",
  baseURL: PLACE.baseURL,
  apiKey: PLACE.apiKey,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const BASE = { model: provider(PLACE.model), seed: CASES.seed, maxRetries: 0 };
const ASKED = { ...BASE, prompt: CASES.prompt, maxOutputTokens: CASES.max_tokens };
const SCHEMA = {
  ...BASE,
  prompt: "Describe a river as JSON.",
  maxOutputTokens: CASES.schema_tokens,
  output: Output.object({ schema: jsonSchema(CASES.schema), name: "river" }),
};
const FORCED = {
  ...BASE,
  prompt: CASES.question,
  maxOutputTokens: CASES.tool_tokens,
  toolChoice: "required",
  tools: Object.fromEntries(
    CASES.tools.map(({ function: { name, description, parameters } }) => [
      name,
      tool({ description, inputSchema: jsonSchema(parameters) }),
    ]),
  ),
};
const silent = () => {}; // errors are asserted on, not logged

/** Every part of a stream; an error part is thrown. */
async function read(request) {
  const parts = await Array.fromAsync(streamText({ ...request, onError: silent }).stream);
  for (const part of parts) if (part.type === "error") throw part.error;
  return parts;
}

const textOf = (parts) =>
  parts.filter(({ type }) => type === "text-delta").map((part) => part.text).join("");

/** The calls, each checked against the schema of its tool. Several may come: the SDK cannot ask for only one. */
function checkCalls(calls, finishReason) {
  assert.equal(finishReason, "tool-calls");
  assert.ok(calls.length > 0);
  assert.equal(new Set(calls.map((call) => call.toolCallId)).size, calls.length);
  for (const call of calls) checkFields(call.input, TOOLS[call.toolName]);
  return calls.map((call) => `${call.toolName} ${JSON.stringify(call.input)}`).join(", ");
}

const checkCounts = ({ inputTokens, outputTokens, totalTokens }, limit) =>
  checkUsage(inputTokens, outputTokens, totalTokens, limit);

async function text_whole() {
  const answer = await generateText(ASKED);
  assert.ok(["stop", "length"].includes(answer.finishReason));
  assert.ok(answer.text);
  assert.equal(answer.response.modelId, PLACE.model);
  return answer.text;
}

async function text_stream() {
  const parts = await read(ASKED);
  const finish = parts.filter(({ type }) => type === "finish");
  assert.equal(finish.length, 1);
  assert.ok(["stop", "length"].includes(finish[0].finishReason));
  assert.equal(textOf(parts), await text_whole());
  return textOf(parts);
}

async function tools_required() {
  const answer = await generateText(FORCED);
  return checkCalls(answer.toolCalls, answer.finishReason);
}

async function tools_stream() {
  const parts = await read(FORCED);
  const calls = parts.filter(({ type }) => type === "tool-call");
  const deltas = parts.filter(({ type, id }) => type === "tool-input-delta" && id === calls[0].toolCallId);
  assert.deepEqual(JSON.parse(deltas.map(({ delta }) => delta).join("")), calls[0].input);
  return checkCalls(calls, parts.at(-1).finishReason);
}

async function tools_named() {
  const answer = await generateText({ ...FORCED, toolChoice: { type: "tool", toolName: "get_time" } });
  assert.ok(answer.toolCalls.every((call) => call.toolName === "get_time"));
  return checkCalls(answer.toolCalls, answer.finishReason);
}

/** The SDK's own loop: it runs the tool, sends the result, and reads the answer. */
async function tools_round_trip() {
  const asked = [];
  const tools = Object.fromEntries(
    Object.entries(FORCED.tools).map(([name, definition]) => [
      name,
      { ...definition, execute: async (input) => (asked.push(input), "17 degrees, rain") },
    ]),
  );
  const prepareStep = ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? "required" : "none" });
  const answer = await generateText({ ...FORCED, tools, prepareStep, stopWhen: isStepCount(2) });
  assert.equal(answer.steps.length, 2);
  assert.ok(asked.length > 0);
  assert.ok(answer.text);
  return answer.text;
}

async function json_schema() {
  const whole = await generateText(SCHEMA);
  checkFields(whole.output, CASES.schema);
  const streamed = streamText({ ...SCHEMA, onError: silent });
  const partials = await Array.fromAsync(streamed.partialOutputStream);
  assert.deepEqual(partials.at(-1), await streamed.output);
  checkFields(await streamed.output, CASES.schema);
  return JSON.stringify(whole.output);
}

async function usage_stream() {
  const parts = await read(ASKED);
  const { totalUsage } = parts.at(-1);
  checkCounts(totalUsage, CASES.max_tokens);
  const whole = await generateText(ASKED);
  assert.equal(whole.usage.totalTokens, totalUsage.totalTokens);
  return `${totalUsage.inputTokens} + ${totalUsage.outputTokens}`;
}

async function unknown_model() {
  const request = { ...ASKED, model: provider("no-such-model") };
  for (const attempt of [generateText, read]) {
    const error = await attempt(request).catch((raised) => raised);
    assert.ok(APICallError.isInstance(error), `got ${error}`);
    assert.equal(error.statusCode, 404);
    assert.match(error.message, /no-such-model/);
    assert.equal(error.data.error.code, "model_not_found");
  }
  return "APICallError, whole and streamed";
}

async function bad_parameter() {
  const error = await generateText({ ...ASKED, temperature: 3 }).catch((raised) => raised);
  assert.ok(APICallError.isInstance(error), `got ${error}`);
  assert.equal(error.statusCode, 400);
  assert.equal(error.data.error.param, "temperature");
  return error.message;
}

async function cancel() {
  const abort = new AbortController();
  const story = { ...BASE, prompt: CASES.story, maxOutputTokens: CASES.cancel_tokens };
  let heard = "";
  for await (const delta of streamText({ ...story, abortSignal: abort.signal, onError: silent }).textStream) {
    heard += delta;
    if (heard.length > 8) abort.abort();
  }
  assert.ok(heard.length > 8 && heard.length < CASES.cancel_tokens, `heard ${heard.length} characters`);
  return heard;
}

await main(
  text_whole,
  text_stream,
  tools_required,
  tools_stream,
  tools_named,
  tools_round_trip,
  json_schema,
  usage_stream,
  unknown_model,
  bad_parameter,
  cancel,
);
