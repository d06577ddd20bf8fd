// Folds streams with openai-node's own decoder and accumulator: what `.stream()` makes of the bytes that it is given.
// Standard input: a JSON array of {name, request, body}, `body` in base64. Standard output: one JSON line for each,
// {name, completion} or {name, error}. It compares nothing and talks to no server: `fetch` answers with the bytes.

import OpenAI from "openai";

const PIECE = 61; // bytes a read: a prime, so that borders fall inside events, lines and characters

/** The bytes as a network would deliver them. */
function response(bytes) {
  const pieces = Array.from({ length: Math.ceil(bytes.length / PIECE) }, (_, at) =>
    bytes.subarray(at * PIECE, (at + 1) * PIECE),
  );
  return new Response(ReadableStream.from(pieces), { headers: { "content-type": "text/event-stream" } });
}

async function folded({ name, request, body }) {
  const fetch = async () => response(Buffer.from(body, "base64"));
  const client = new OpenAI({ baseURL: "http://nowhere.invalid/v1", apiKey: "unused", maxRetries: 0, fetch });
  try {
    return { name, completion: await client.chat.completions.stream(request).finalChatCompletion() };
  } catch (error) {
    return { name, error: `${error.constructor.name}: ${error.message}` };
  }
}

const streams = JSON.parse((await Array.fromAsync(process.stdin)).join(""));
for (const stream of streams) process.stdout.write(JSON.stringify(await folded(stream)) + "\n");
