// Asks through the stock openai-node with riverrun's fetch, for tests/client/test_fetch.py:
//   node resuming.mjs PATH_OF_RIVERRUN_MJS BASE_URL COUNT '{"retries": 0, "timeout": 600000, "leave": false, …}'
// prints one JSON line per answer: {"deltas": [...], "error": "class of what was raised, or nothing"}. What else the
// options say goes to `resuming`.

import { pathToFileURL } from "node:url";
import OpenAI from "openai";

const [path, baseURL, count, options] = process.argv.slice(2);
const { resuming } = await import(pathToFileURL(path));
const { retries = 0, timeout = 600_000, leave = false, whole = false, ...patience } = JSON.parse(options);
const fetch = resuming({ firstPause: 1, longestPause: 50, giveUpAfter: 20_000, ...patience });
const client = new OpenAI({ baseURL, apiKey: "k", maxRetries: retries, timeout, fetch });

for (let number = 0; number < Number(count); number++) {
  const answer = { deltas: [], error: "" };
  try {
    const request = { model: "m", messages: [{ role: "user", content: "Hi" }] };
    if (whole) answer.deltas.push((await client.chat.completions.create(request)).choices[0].message);
    else
      for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
        answer.deltas.push(chunk.choices[0].delta);
        if (leave) break;
      }
  } catch (error) {
    answer.error = error.constructor.name;
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
if (leave) for await (const _ of process.stdin); // alive, so that only the client can have closed its connection
