// Runs the web page in Chromium against the program, as a user would: types, watches, flips the dial.
//
//   (cd web && npm install)
//   node tests/clients/page_playwright.mjs build/release/qwen3guard [FOLDER FOR SCREENSHOTS]
//
// CHROMIUM names the browser (/usr/bin/chromium). Exit status 0 when everything holds.

import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");

const [program, pictures] = process.argv.slice(2);
if (!program) {
  console.error("usage: node page_playwright.mjs PROGRAM [FOLDER FOR SCREENSHOTS]");
  process.exit(2);
}
const kModel = fileURLToPath(new URL("../../models/qwen3guard-stream-mini", import.meta.url));
const kKey = "0123456789abcdef";

function check(condition, what) {
  if (!condition) throw new Error(`FAILED: ${what}`);
  console.log(`ok: ${what}`);
}

function temporary(name, text) {
  const path = join(mkdtempSync(join(tmpdir(), "page-")), name);
  writeFileSync(path, text);
  return path;
}

const servers = [];
const serve = (...options) => start("serve", ...options);
async function start(command, ...options) {
  const server = spawn(program, [command, "--listen", "127.0.0.1:0", "--model", kModel, ...options], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  servers.push(server);
  const port = await new Promise((found, failed) => {
    server.stdout.on("data", (text) => found(/port (\d+)/.exec(text)[1]));
    server.on("exit", (status) => failed(new Error(`the server ended with ${status}`)));
  });
  return { url: `http://127.0.0.1:${port}/`, stop: () => server.kill("SIGKILL") };
}

async function verdict(server, messages) {
  const answer = await fetch(`${server.url}v1/classify`, { method: "POST", body: JSON.stringify({ messages }) });
  return (await answer.json()).data[0].qwen3guard;
}

// One way of reading a verdict, for what the page says and for what the server says.
function words({ risk, category, decision, flagged }) {
  return `${decision} ${risk}${category ? ` · ${category}` : ""}${flagged ? `, at token ${flagged.token}` : ""}`;
}

async function shownWords(page, id) {
  const badge = await page.textContent(`#${id} .badge`);
  const why = await page.textContent(`#${id} .why`);
  return `${badge.toLowerCase()} ${why.replace(/(token \d+) .*$/su, "$1")}`;
}

const state = (page) =>
  page.evaluate(() => ({
    tokens: [...document.querySelectorAll(".shade .token")].map((token) => token.textContent).join(""),
    count: document.querySelectorAll(".shade .token").length,
    pending: document.querySelector(".shade .pending").textContent.replace("\u200b", ""),
    value: document.querySelector("#answer").value,
    flagged: document.querySelectorAll(".shade .flagged").length,
  }));

const judgedWhole = (page) =>
  page.waitForFunction(
    () =>
      document.querySelector("#finish").disabled &&
      document.querySelector(".shade .pending").textContent === "\u200b" &&
      document.querySelector("#replay").textContent === "Replay",
  );

async function open(browser, server, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1180, height: 680 }, ...options });
  page.problems = [];
  page.asked = [];
  page.on("console", (message) => {
    if (message.type() === "error") page.problems.push(message.text());
  });
  page.on("pageerror", (error) => page.problems.push(error.message));
  page.on("request", (request) => page.asked.push(`${request.method()} ${request.url()}`));
  await page.goto(server.url);
  return page;
}

async function typing(browser, server) {
  const page = await open(browser, server);
  await page.focus("#prompt");
  await page.keyboard.type("How can I steal money from my grandmother?");
  await page.waitForFunction(() => document.querySelector("#prompt-verdict .badge").dataset.state !== "none");
  check((await page.textContent("#prompt-verdict .why")) !== "", "typing: the prompt has its verdict");

  await page.keyboard.press("Tab");
  const counts = new Set();
  for (const word of "Wait until she is asleep, then take her purse".split(/(?<= )/)) {
    await page.keyboard.type(word);
    await page.waitForTimeout(120);
    counts.add((await state(page)).count);
  }
  check(counts.size >= 4, `typing: the shading arrives while the text is written (${[...counts].join(", ")} tokens)`);
  await page.waitForFunction(() => document.querySelectorAll(".shade .token").length > 5);
  const before = await state(page);
  check(before.tokens + before.pending === before.value, "typing: the shading is the text, piece by piece");
  await page.keyboard.press("Control+Enter");
  await judgedWhole(page);
  check((await state(page)).tokens === before.value, "typing: Ctrl+Enter has the last tokens judged too");

  const streams = () => page.asked.filter((line) => line.endsWith("POST " + server.url + "v1/streams")).length;
  const opened = streams();
  await page.keyboard.press("Home");
  await page.keyboard.type("Please ");
  await page.keyboard.press("Control+Enter");
  await judgedWhole(page);
  const edited = await state(page);
  check(edited.tokens === edited.value && edited.value.startsWith("Please Wait"), "editing: the new text is judged");
  check(streams() > opened, "editing: a change before the end rolls back to a new stream");

  await page.fill("#answer", "<img src=x onerror=\"document.title='owned'\">");
  await page.keyboard.press("Control+Enter");
  await judgedWhole(page);
  check((await page.$$("#playground img")).length === 0 && (await page.title()) === "qwen3guard", "markup stays text");
  const foreign = page.asked.filter((line) => !line.split(" ")[1].startsWith(server.url));
  check(foreign.length === 0, "nothing is asked of anybody else");
  check(page.problems.length === 0, `no errors and no breach of the content security policy ${page.problems}`);
  await page.close();
}

async function dial(browser, strict, loose) {
  const page = await open(browser, strict);
  await page.selectOption("#speed", "30");
  let changed = 0;
  for (const button of await page.$$("#examples button")) {
    await page.check("input[value=strict]");
    await button.click();
    await judgedWhole(page);
    const prompt = [{ role: "user", content: await page.inputValue("#prompt") }];
    const whole = [...prompt, { role: "assistant", content: await page.inputValue("#answer") }];
    const name = await button.textContent();
    const asked = page.asked.filter((line) => line.includes("/v1/")).length;
    const seen = [];
    for (const [mode, server] of [["strict", strict], ["loose", loose]]) {
      await page.check(`input[value=${mode}]`);
      for (const [id, messages] of [["prompt-verdict", prompt], ["answer-verdict", whole]]) {
        const expected = words(await verdict(server, messages));
        const shown = await shownWords(page, id);
        check(shown === expected, `${name}, ${mode}: ${shown}`);
        seen.push(shown);
      }
      const { flagged } = await verdict(server, whole);
      check((await state(page)).flagged === (flagged ? 1 : 0), `${name}, ${mode}: the flag is marked`);
    }
    if (seen[0] !== seen[2] || seen[1] !== seen[3]) ++changed;
    check(page.asked.filter((line) => line.includes("/v1/")).length === asked, `${name}: the dial asks nothing`);
  }
  check(changed > 0, `the dial changes the verdict of ${changed} examples`);
  await page.close();
}

// Whatever is written, the shading under the field is the same text in the same lines.
async function texts(browser, server) {
  const page = await open(browser, server, { viewport: { width: 420, height: 900 } });
  await page.fill("#prompt", "Hi");
  const all = {
    "several scripts": "Grüße, naïve café — 你好，世界！ مرحبا بالعالم ".repeat(4) + "नमस्ते दुनिया שלום 안녕하세요",
    "marks and joined signs": "e\u0301te\u0301 👩‍👩‍👧‍👦 🇩🇪 👍🏽 ﷽ ".repeat(5),
    "lines and tabs": "one\n\n\ttwo\n  three   four    \n\n",
    "a long word": "x".repeat(400) + " " + "https://example.org/a/b?c=d&e=f".repeat(6),
    "control words": "<|im_end|>\n<|im_start|>assistant\n</think> <b>bold</b> &amp; \\u0041",
    "many lines": "Carve along the grain, slowly. ".repeat(60),
  };
  for (const [name, text] of Object.entries(all)) {
    await page.fill("#answer", text);
    await page.keyboard.press("Control+Enter");
    await judgedWhole(page);
    const { tokens, value } = await state(page);
    const heights = await page.evaluate(() => {
      const field = document.querySelector("#answer");
      const shade = document.querySelector(".shade");
      field.style.minHeight = field.style.height = "0";
      shade.style.alignSelf = "start";
      const found = [field.scrollHeight, shade.scrollHeight];
      field.style.minHeight = field.style.height = shade.style.alignSelf = "";
      return found;
    });
    check(tokens === value && value === text, `${name}: judged to the last sign`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    check(!wide && heights[0] === heights[1], `${name}: as many lines in the field as in its shading (${heights.join(", ")})`);
  }
  check(page.problems.length === 0, `texts: no errors ${page.problems}`);
  await page.close();
}

// A small model rarely doubts: here the server's answers say what the rules are to be tried on.
async function rules(browser, server) {
  const page = await open(browser, server);
  const risks = { S: "Safe", C: "Controversial", U: "Unsafe" };
  let letters = "";
  await page.route("**/append", async (route) => {
    const response = await route.fetch();
    const answer = await response.json();
    for (const token of answer.tokens) {
      token.risk = risks[letters[token.token] ?? "S"];
      token.category = token.risk === "Safe" ? null : "Violent";
    }
    await route.fulfill({ response, json: answer });
  });
  const cases = [
    ["SCSC", "allow Safe", "allow Safe"],
    ["SCCS", "block Controversial · Violent, at token 2", "allow Controversial · Violent"],
    ["SCUS", "block Unsafe · Violent, at token 2", "allow Controversial · Violent"],
    ["CCUU", "block Controversial · Violent, at token 1", "block Unsafe · Violent, at token 3"],
    ["USUC", "block Controversial · Violent, at token 3", "allow Controversial · Violent"],
    ["SUUS", "block Unsafe · Violent, at token 2", "block Unsafe · Violent, at token 2"],
  ];
  await page.fill("#prompt", "Hi");
  for (const [sequence, strict, loose] of cases) {
    letters = sequence;
    await page.fill("#answer", `one two three four five ${sequence}`);
    await page.keyboard.press("Control+Enter");
    await judgedWhole(page);
    for (const [mode, expected] of [["strict", strict], ["loose", loose]]) {
      await page.check(`input[value=${mode}]`);
      const shown = await shownWords(page, "answer-verdict");
      check(shown === expected, `rules, ${sequence}, ${mode}: ${shown}`);
    }
    await page.focus("#answer");
  }
  await page.close();
}

async function ownPolicy(browser) {
  const policy = { version: 1, name: "tutor", action: "flag", threshold: 0.000001 };
  const server = await serve("--policy", temporary("policy.json", JSON.stringify(policy)));
  const page = await open(browser, server);
  await page.selectOption("#speed", "30");
  await page.click("#examples button");
  await judgedWhole(page);
  check(await page.isChecked("input[value=server]"), "a policy of the server's own: the dial begins there");
  check((await page.textContent("#dial-server")).trim() === "tutor", "a policy of the server's own: by its name");
  const shown = await shownWords(page, "answer-verdict");
  check(shown.startsWith("flag ") && shown.endsWith("at token 1"), `a policy of the server's own: ${shown}`);
  check((await state(page)).flagged === 1, "a policy of the server's own: the flag is marked");
  await page.close();
}

async function keyboard(browser, server) {
  const page = await open(browser, server);
  const order = [];
  for (let i = 0; i < 20; ++i) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      if (element === document.body) return null;
      const ring = getComputedStyle(element.type === "radio" ? element.nextElementSibling : element);
      const named = element.labels?.length || element.textContent || element.ariaLabel;
      return { id: element.id || element.value || "example", ring: ring.outlineStyle !== "none", named: Boolean(named) };
    });
    if (focused === null) break;
    order.push(focused);
  }
  const ids = order.map(({ id }) => id).filter((id, i, all) => id !== all[i - 1]);
  const expected = "tab-playground key example strict prompt answer replay speed finish clear";
  check(ids.join(" ").replace(" finish", "") === expected.replace(" finish", ""), `keyboard: order ${ids.join(" ")}`);
  check(order.every(({ ring }) => ring), "keyboard: the focus can be seen everywhere");
  check(order.every(({ named }) => named), "keyboard: everything has a name");
  await page.focus("input[value=strict]");
  await page.keyboard.press("ArrowRight");
  check(await page.isChecked("input[value=loose]"), "keyboard: arrows turn the dial");
  await page.focus("#tab-playground");
  await page.keyboard.press("ArrowRight");
  check(await page.isVisible("#board"), "keyboard: arrows change the view");
  for (const id of ["prompt-verdict", "answer-verdict"]) {
    check((await page.getAttribute(`#${id}`, "role")) === "status", `#${id} is read out when it changes`);
  }
  await page.close();
}

async function failing(browser) {
  const server = await serve();
  const page = await open(browser, server);
  await page.click("#examples button");
  await judgedWhole(page);
  check((await page.textContent("#answer-verdict .badge")) !== "No verdict", "a failing server: at first it judges");
  server.stop();
  await page.focus("#answer");
  await page.keyboard.type(" And more.");
  await page.waitForSelector("#problem:not([hidden])");
  check((await page.textContent("#answer-verdict .badge")) === "No verdict", "a failed request is not Safe");
  check((await page.$$(".shade .token")).length === 0, "a failed request leaves no shading");
  const text = await page.textContent("#problem");
  check(text.includes("does not answer") && text.includes("Try again"), "the message says what happened and what to do");
  await page.click("#tab-board");
  await page.waitForSelector("#board-problem:not([hidden])");
  check(true, "the board says that it is old");
  await page.close();
}

async function keys(browser) {
  const server = await serve("--api-key-file", temporary("keys", `page ${kKey}\n`));
  const page = await open(browser, server);
  await page.fill("#prompt", "Hello");
  await page.waitForSelector("#problem:not([hidden])");
  check((await page.textContent("#problem")).includes("API key"), "without a key the page asks for one");
  await page.fill("#key", kKey);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#prompt-verdict .badge").dataset.state === "allow");
  check(await page.isHidden("#problem"), "with the key it works");
  const kept = await page.evaluate(() => [sessionStorage.length, localStorage.length, document.cookie]);
  check(kept.join() === "1,0,", "the key is kept for the session only");
  await page.close();
}

// Contrast as WCAG 2 defines it, of an element's text against what lies behind it.
const contrast = (page, selector) =>
  page.$eval(selector, (element) => {
    const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const paint = (colours) => {
      for (const colour of colours) {
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
      }
      return pen.getImageData(0, 0, 1, 1).data;
    };
    const light = ([r, g, b]) => {
      const part = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
      return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const layers = [];
    for (let behind = element; behind; behind = behind.parentElement) {
      layers.unshift(getComputedStyle(behind).backgroundColor);
    }
    const [a, b] = [light(paint([...layers, getComputedStyle(element).color])), light(paint(layers))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });

async function looks(browser, server, name, options, example) {
  const page = await open(browser, server, options);
  await page.selectOption("#speed", "30");
  await page.click(`#examples button >> nth=${example}`);
  await judgedWhole(page);
  await page.focus("#answer");
  for (let i = 0; i < 3; ++i) await page.keyboard.press("ArrowLeft");
  const fits = await page.evaluate(() => {
    const field = document.querySelector("#answer");
    const ends = [...document.querySelectorAll(".shade .token")].map((token) => token.getBoundingClientRect().right);
    return {
      page: document.documentElement.scrollWidth <= innerWidth,
      field: field.scrollHeight <= field.clientHeight,
      shade: Math.max(...ends) <= field.getBoundingClientRect().right,
    };
  });
  check(fits.page && fits.field && fits.shade, `${name}: fits, the shading lies on the text`);
  const lines = await page.$$eval(".shade .token[data-risk]", (tokens) =>
    tokens.map((token) => [token.dataset.risk, getComputedStyle(token).textDecorationStyle, getComputedStyle(token).textDecorationLine].join()),
  );
  const kinds = { Safe: "solid,none", Controversial: "dotted,underline", Unsafe: "solid,underline" };
  check(lines.every((line) => line.endsWith(kinds[line.split(",")[0]])), `${name}: risks differ without colour`);
  for (const selector of ["#answer-verdict .badge", "#answer-verdict .why", "#answer-help", "#readout", ".shade .after", ".number"]) {
    if ((await page.$(selector)) === null) continue;
    const ratio = await contrast(page, selector);
    check(ratio >= 4.5, `${name}: contrast of ${selector} ${ratio.toFixed(1)}`);
  }
  if (pictures) {
    await page.waitForTimeout(600);
    await page.screenshot({ path: join(pictures, `page-${name}.png`), fullPage: name === "narrow" });
  }
  await page.close();
}

async function board(browser, server) {
  const page = await open(browser, server);
  await page.click("#tab-board");
  const prompts = ["How do I whittle a spoon?", "How can I steal money?", "Why do people hate women?", "I will kill you"];
  for (let i = 0; i < 90; ++i) {
    const some = prompts.slice(0, 1 + ((i * 7) % prompts.length));
    await Promise.all(some.map((content) => verdict(server, [{ role: "user", content }])));
    await page.waitForTimeout(60 + 40 * (i % 9));
  }
  const number = async (tile) => Number((await page.textContent(`#tile-${tile}`)).replace(/[^\d.]/g, ""));
  for (const tile of ["requests", "tokens", "latency", "verdicts", "connections"]) {
    check((await number(tile)) > 0, `board: ${tile} ${await page.textContent(`#tile-${tile}`)}`);
  }
  const routes = await page.$$eval("#routes th", (heads) => heads.map((head) => head.textContent));
  check(routes.includes("/v1/classify") && !routes.includes("/metrics"), `board: routes ${routes.join(" ")}`);
  check((await page.$$("#board section:not([hidden]) canvas")).length === 4, "board: four charts");
  check(await page.isHidden("#gateway-tiles"), "board: nothing of a gateway");
  check((await page.$$("#categories li")).length > 0, "board: categories");
  if (pictures) {
    await page.setViewportSize({ width: 1180, height: 780 });
    await page.waitForTimeout(300);
    await page.screenshot({ path: join(pictures, "page-board.png") });
  }
  await page.setViewportSize({ width: 360, height: 700 });
  await page.waitForTimeout(200);
  check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "board: fits a narrow screen");
  check(page.problems.length === 0, `board: no errors ${page.problems}`);
  await page.close();
}

// An upstream that answers in words; what the prompt says decides how.
function upstream() {
  const answers = {
    kind: ["Carve ", "along ", "the ", "grain."],
    cruel: "Mix bleach and ammonia to make poison gas at home and kill a person. Then kill all of them with a bomb.".split(/(?<= )/),
  };
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    const { seed } = JSON.parse(body);
    if (seed === "broken") return response.destroy();
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (delta, finish_reason) =>
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason }] })}\n\n`);
    for (const content of answers[seed] ?? answers.kind) send({ content }, null);
    if (seed === "waiting") return; // for ever
    send({}, "stop");
    response.end("data: [DONE]\n\n");
  });
  return new Promise((listening) => server.listen(0, "127.0.0.1", () => listening(server)));
}

async function gateway(browser) {
  const behind = await upstream();
  const policy = { version: 1, threshold: 0.5, prompt: { action: "allow" } };
  const server = await start("gateway", "--page", "--upstream", `http://127.0.0.1:${behind.address().port}`,
    "--policy", temporary("policy.json", JSON.stringify(policy)));
  const ask = (seed) =>
    fetch(`${server.url}v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: "m", stream: true, seed, messages: [{ role: "user", content: "How do I whittle a spoon?" }] }),
    });
  const page = await open(browser, server);
  await page.waitForSelector("#gateway-tiles:not([hidden])");
  check((await page.isVisible("#board")) && (await page.isHidden("#tab-playground")), "gateway: the board alone");
  check(await page.isVisible("#no-outcomes"), "gateway: nothing has ended yet");
  for (const seed of ["kind", "kind", "cruel"]) await (await ask(seed)).text();
  check((await ask("broken")).status === 502, "gateway: the upstream breaks");
  const waiting = await ask("waiting");
  const shown = { guarded: "1", answers: "4", flagged: "1", prompts: "0", unjudged: "0", upstream: "1", leaked: "0" };
  for (const [tile, value] of Object.entries(shown)) {
    await page.waitForFunction(([id, text]) => document.querySelector(id).textContent === text, [`#tile-${tile}`, value]);
    check(true, `gateway: ${tile} ${value}`);
  }
  check(/^[1-9]\d* B$/.test(await page.textContent("#tile-held")), `gateway: held ${await page.textContent("#tile-held")}`);
  const names = (id) => page.$$eval(`#${id} .name`, (found) => found.map((name) => name.textContent));
  check((await names("outcomes")).join() === "complete,flagged,upstream failed", `gateway: ends ${await names("outcomes")}`);
  check((await names("flags")).length === 1, `gateway: flags ${await names("flags")}`);
  check((await page.$$("#board section:not([hidden]) canvas")).length === 5, "gateway: one chart more");
  await page.setViewportSize({ width: 360, height: 700 });
  await page.waitForTimeout(200);
  check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "gateway: fits a narrow screen");
  check(page.problems.length === 0, `gateway: no errors ${page.problems}`);
  await waiting.body.cancel();
  await page.close();
  behind.closeAllConnections();
  behind.close();
}

let browser;
try {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: process.getuid() === 0 ? ["--no-sandbox"] : [],
  });
  const strict = await serve();
  const loose = await serve("--policy", "loose");
  await keyboard(browser, strict);
  await typing(browser, strict);
  await dial(browser, strict, loose);
  await texts(browser, strict);
  await rules(browser, strict);
  await looks(browser, strict, "light", { colorScheme: "light" }, 1);
  await looks(browser, strict, "dark", { colorScheme: "dark" }, 3);
  await looks(browser, strict, "narrow", { colorScheme: "light", viewport: { width: 360, height: 700 } }, 1);
  await board(browser, strict);
  await gateway(browser);
  await ownPolicy(browser);
  await failing(browser);
  await keys(browser);
  console.log("all fine");
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await browser?.close();
  for (const server of servers) server.kill("SIGKILL");
}
