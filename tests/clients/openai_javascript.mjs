// Runs OpenAI's own JavaScript package against the server and through the gateway, whose upstream
// this script scripts.
//
//   mkdir client && cd client && npm install openai
//   node ../tests/clients/openai_javascript.mjs ../build/release/qwen3guard
//
// The package is that of the working directory. Exit status 0 when it sees what it should: verdicts,
// safe answers whole, flagged ones with finish_reason "content_filter".

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "package.json"));
const { OpenAI, BadRequestError } = require("openai");

const [program] = process.argv.slice(2);
if (!program) {
  console.error("usage: node openai_javascript.mjs PROGRAM");
  process.exit(2);
}

const kSafe = "First, find a dry branch. 你好，世界！ 🪵 Then carve along the grain.";
const kUnsafe =
  "First, find a branch. Mix bleach and ammonia to make poison gas at home and kill a person.";
const kArguments = '{"wood": "oak"}';

function check(condition, what) {
  if (!condition) throw new Error(`FAILED: ${what}`);
  console.log(`ok: ${what}`);
}

// The upstream: what the last message says decides the answer.

function deltas(wanted) {
  if (wanted === "call") {
    const head = { index: 0, id: "call-1", type: "function", function: { name: "carve", arguments: "" } };
    return [{ tool_calls: [head] }, { tool_calls: [{ index: 0, function: { arguments: kArguments } }] }];
  }
  return (wanted === "unsafe" ? kUnsafe : kSafe).split(/(?<= )/).map((content) => ({ content }));
}

function plainMessage(wanted) {
  if (wanted !== "call") return { role: "assistant", content: wanted === "unsafe" ? kUnsafe : kSafe };
  const call = { id: "call-1", type: "function", function: { name: "carve", arguments: kArguments } };
  return { role: "assistant", content: null, tool_calls: [call] };
}

async function answer(request, response) {
  let body = "";
  for await (const piece of request) body += piece;
  const asked = JSON.parse(body);
  const wanted = asked.messages.at(-1).content;
  const base = { id: "chatcmpl-1", created: 1, model: asked.model };
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
  if (!asked.stream) {
    const choices = [{ index: 0, message: plainMessage(wanted), finish_reason: "stop" }];
    response.setHeader("Content-Type", "application/json");
    return response.end(JSON.stringify({ ...base, object: "chat.completion", choices, usage }));
  }
  response.setHeader("Content-Type", "text/event-stream");
  const send = (chunk) =>
    response.write(`data: ${JSON.stringify({ ...base, object: "chat.completion.chunk", ...chunk })}\n\n`);
  for (const delta of [{ role: "assistant", content: "" }, ...deltas(wanted)]) {
    if (response.destroyed) return; // the gateway has seen enough
    send({ choices: [{ index: 0, delta, finish_reason: null }] });
    await new Promise((passed) => setTimeout(passed, 5));
  }
  send({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
  if (asked.stream_options?.include_usage) send({ choices: [], usage });
  response.end("data: [DONE]\n\n");
}

// Our side: the program on a free port, ended by SIGTERM.

async function run(options, use) {
  const child = spawn(program, [...options, "--listen", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise((found) => child.on("exit", found));
  try {
    const port = await new Promise((found, failed) => {
      child.stdout.on("data", (text) => found(/port (\d+)/.exec(text)[1]));
      child.on("exit", (status) => failed(new Error(`${options[0]} ended with ${status}`)));
    });
    const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: "none", maxRetries: 0 });
    await use(client);
  } finally {
    child.kill("SIGTERM");
  }
  check((await ended) === 0, `${options[0]} ends on SIGTERM`);
}

async function moderations(client) {
  const one = await client.moderations.create({
    model: "omni-moderation-latest",
    input: "How do I whittle a spoon?",
  });
  const [result] = one.results;
  check(Object.keys(result.categories).length === 13, "moderations: 13 categories");
  check(result.category_scores.violence >= 0 && result.category_scores.violence <= 1, "moderations: scores");
  check(result.category_applied_input_types.violence[0] === "text", "moderations: input types");
  check(result.qwen3guard.decision !== undefined, "moderations: the native verdict beside it");
  const several = await client.moderations.create({ input: ["a spoon", "a fork", "a knife"] });
  check(several.results.length === 3, "moderations: one result for each text");
  const image = [{ type: "image_url", image_url: { url: "https://example.com/a.png" } }];
  const refused = await client.moderations.create({ input: image }).catch((error) => error);
  check(refused instanceof BadRequestError && refused.code === "unsupported", "moderations: an image is refused");
}

async function judgedChat(client) {
  const messages = [{ role: "user", content: "How do I whittle a spoon?" }];
  const plain = await client.chat.completions.create({ model: "Qwen/Qwen3Guard-Gen-4B", messages });
  const text = plain.choices[0].message.content;
  check(/Safety: (Safe|Unsafe|Controversial)/.test(text), "serve: a verdict as a chat completion");
  const { text: same } = await streamed(client, messages[0].content);
  check(same === text, "serve: streamed text equals the plain one");
}

async function streamed(client, content) {
  const stream = await client.chat.completions.create({
    model: "m",
    messages: [{ role: "user", content }],
    stream: true,
    stream_options: { include_usage: true },
  });
  const seen = { text: "", calls: "", reason: null, usage: null };
  for await (const chunk of stream) {
    for (const { delta, finish_reason } of chunk.choices) {
      seen.text += delta.content ?? "";
      for (const call of delta.tool_calls ?? []) seen.calls += call.function.arguments ?? "";
      seen.reason = finish_reason ?? seen.reason;
    }
    seen.usage = chunk.usage ?? seen.usage;
  }
  return seen;
}

async function guarded(client) {
  const plain = async (content) => {
    const completion = await client.chat.completions.create({
      model: "m",
      messages: [{ role: "user", content }],
    });
    return completion.choices[0];
  };
  const safe = await streamed(client, "safe");
  check(safe.text === kSafe && safe.reason === "stop", "gateway: a safe stream arrives whole");
  check(safe.usage.total_tokens === 2, "gateway: usage comes last");
  const call = await streamed(client, "call");
  check(call.calls === kArguments, "gateway: a streamed function call arrives whole");
  check((await plain("safe")).message.content === kSafe, "gateway: a plain answer");
  check((await plain("call")).message.tool_calls.length === 1, "gateway: a plain function call");

  const flagged = await streamed(client, "unsafe");
  check(flagged.reason === "content_filter", "gateway: a flagged stream ends as filtered");
  check(kUnsafe.startsWith(flagged.text), "gateway: what came before the flag arrives");
  check(!flagged.text.includes("kill"), "gateway: nothing flagged is sent");
  const cut = await plain("unsafe");
  check(cut.finish_reason === "content_filter", "gateway: a flagged plain answer");
  check(cut.message.content === flagged.text, "gateway: plain and streamed end at the same place");

  // The package's own reader of streams: it puts chunks together and checks their order.
  const runner = client.chat.completions.stream({ model: "m", messages: [{ role: "user", content: "safe" }] });
  check((await runner.finalContent()) === kSafe, "gateway: the package's stream helper");
}

async function blockedPrompt(client) {
  for (const stream of [false, true]) {
    const error = await client.chat.completions
      .create({ model: "m", messages: [{ role: "user", content: "safe" }], stream })
      .catch((thrown) => thrown);
    const refused = error instanceof BadRequestError && error.code === "content_filter";
    check(refused, `gateway: a blocked prompt, ${stream ? "streamed" : "plain"}`);
  }
}

function policy(rules) {
  const path = join(mkdtempSync(join(tmpdir(), "policy-")), "policy.json");
  writeFileSync(path, JSON.stringify({ version: 1, ...rules }));
  return path;
}

const { version } = JSON.parse(readFileSync("node_modules/openai/package.json", "utf8"));
console.log(`openai ${version}, node ${process.version}`);
const upstream = http.createServer((request, response) => answer(request, response).catch(() => {}));
await new Promise((listening) => upstream.listen(0, "127.0.0.1", listening));
const gateway = ["gateway", "--upstream", `http://127.0.0.1:${upstream.address().port}`, "--policy"];
try {
  await run(["serve"], async (client) => {
    await moderations(client);
    await judgedChat(client);
  });
  await run([...gateway, policy({ threshold: 0.5, prompt: { action: "allow" } })], guarded);
  await run([...gateway, policy({ threshold: 0.0001 })], blockedPrompt);
} finally {
  upstream.close();
  upstream.closeAllConnections();
}
console.log("all fine");
