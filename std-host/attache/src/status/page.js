// Everything that a server or a peer has said is put in as text, never as markup.
"use strict";

const find = (id) => document.getElementById(id);
const KEPT = 200;
const REVISION = "2026-07-28";
const exchanges = [];
let servers = [];
let entries = [];
let form = null;
let isPaused = false;
const waiting = [];
/** The exchange whose messages are shown. */
let opened = null;

const BAD = ["failed", "rejected", "refused", "broken"];
const failed = (exchange) => BAD.includes(exchange.end);
const what = (exchange) => [exchange.method === "none" ? "(not readable)" : exchange.method, exchange.name].filter(Boolean).join(" ");
const who = (exchange) => exchange.caller ?? exchange.peer ?? (exchange.transport === "http" ? "this page" : exchange.transport);
const time = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const took = (microseconds) =>
  microseconds === null || microseconds === undefined ? "–"
  : microseconds < 1000 ? `${microseconds} µs` : microseconds < 1e6 ? `${(microseconds / 1000).toFixed(microseconds < 1e5 ? 1 : 0)} ms` : `${(microseconds / 1e6).toFixed(1)} s`;
const count = (number) => number.toLocaleString();
const bytes = (number) => {
  const unit = number < 1024 ? 0 : Math.min(Math.floor(Math.log2(number) / 10), 4);
  return `${(number / 2 ** (10 * unit)).toFixed(unit === 0 || number / 2 ** (10 * unit) >= 100 ? 0 : 1)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
};
const duration = (seconds) => {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).map(([size, unit], index) => [Math.floor(index ? (seconds % parts[first][0]) / size : seconds / size), unit])
    .filter(([number], index) => number > 0 || index === 0).map(([number, unit]) => `${number} ${unit}`).join(" ");
};

/** A row of cells: texts, or arrays of a text or an element and a class. */
function row(...cells) {
  const row = document.createElement("tr");
  for (const cell of cells) {
    const [content, kind] = Array.isArray(cell) ? cell : [cell];
    const data = row.insertCell();
    data.append(content ?? "");
    if (kind) data.className = kind;
  }
  return row;
}

// The charts.

const SVG = "http://www.w3.org/2000/svg";
const [HEIGHT, LEFT, BOTTOM] = [150, 48, 18];
let width = 600;
function svg(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A chart with horizontal lines at `ticks`, each with its text and its height from 0 to 1. */
function chart(id, summary, ticks, minutes, marks) {
  const root = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": summary });
  for (const [text, height] of ticks) {
    const y = 8 + (1 - height) * (HEIGHT - BOTTOM - 8);
    root.append(svg("line", { class: "grid", x1: LEFT, x2: width, y1: y, y2: y }), svg("text", { x: LEFT - 5, y: y + 4, "text-anchor": "end" }, text));
  }
  root.append(svg("text", { x: LEFT, y: HEIGHT - 3 }, `${minutes} min ago`), svg("text", { x: width - 2, y: HEIGHT - 3, "text-anchor": "end" }, "now"));
  root.append(...marks);
  find(id).replaceChildren(root);
}

const place = (ago, slots) => LEFT + ((slots - 1 - ago) / slots) * (width - LEFT);
const level = (height) => 8 + (1 - height) * (HEIGHT - BOTTOM - 8);

function drawRates({ history, slot, slots }) {
  const most = Math.max(1, ...history.map(([, done, bad, refused]) => done + bad + refused));
  const step = (width - LEFT) / slots;
  const bars = history.flatMap(([ago, ...counts]) => {
    let below = 0;
    return ["done", "failed", "refused"].map((kind, index) => {
      const [from, to] = [below, below + counts[index]];
      below = to;
      return to > from && svg("rect", { class: `bar-${kind}`, x: place(ago, slots), width: Math.max(step - 1, 1), y: level(to / most), height: level(from / most) - level(to / most) });
    }).filter(Boolean);
  });
  const label = (number) => (number / slot >= 10 ? Math.round(number / slot) : (number / slot).toFixed(1));
  chart("rates", `Messages per second in the last ${(slot * slots) / 60} minutes; at most ${label(most)}`, [["0", 0], [label(most / 2), 0.5], [label(most), 1]], (slot * slots) / 60, bars);
}

function drawTimes({ history, slot, slots }) {
  const known = history.filter(([, , , , median]) => median !== null);
  const [least, most] = [Math.min(1000, ...known.map((slot) => slot[4])), Math.max(10_000, ...known.map((slot) => slot[5]))].map(Math.log10);
  const [low, high] = [Math.floor(least), Math.ceil(most)];
  const height = (microseconds) => (Math.log10(microseconds) - low) / (high - low);
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => [took(10 ** (low + index)).replace(".0", ""), index / (high - low)]);
  const lines = [["median", 4], ["slow", 5]].map(([kind, at]) => {
    // A gap without messages breaks the line; a point alone is a short line.
    let before = null;
    const path = known.map((point) => {
      const [x, y] = [place(point[0], slots), level(height(point[at]))];
      const move = before !== null && before - point[0] <= 2 ? `L${x} ${y}` : `M${x} ${y}h3`;
      before = point[0];
      return move;
    });
    return svg("path", { class: `line-${kind}`, d: path.join("") });
  });
  const last = known.at(-1);
  chart("times", last ? `Latency: median ${took(last[4])}, 95 % ${took(last[5])} most recently` : "Latency: no messages in the last 10 minutes", ticks, (slot * slots) / 60, lines);
}

// The state of the program, once a second.

function drawState(state) {
  const { totals } = state;
  const all = totals.done + totals.failed + totals.refused;
  const share = (number) => (all === 0 || number === 0 ? count(number) : `${count(number)} (${((100 * number) / all).toFixed(number * 10 < all ? 1 : 0)} %)`);
  const minute = state.history.filter(([ago]) => ago >= 1 && ago <= 60 / state.slot).reduce((sum, [, done, bad, refused]) => sum + done + bad + refused, 0);
  find("uptime").textContent = duration(state.uptime);
  find("total").textContent = count(all);
  find("rate").textContent = (minute / 60).toFixed(minute < 600 ? 1 : 0);
  find("failed").textContent = share(totals.failed);
  find("refused").textContent = share(totals.refused);
  find("open").textContent = count(state.connections.open);
  find("received").textContent = bytes(totals.received);
  find("sent").textContent = bytes(totals.sent);
  find("hint").textContent = state.messages ? "Open an exchange to see its messages. What looks like a secret is hidden." : "status.messages = true in attache.toml keeps the JSON of exchanges for this page.";
  const fault = state.reload?.fault;
  find("reload").hidden = !fault;
  const told = fault ? `The last reload of the configuration has failed (${time(state.reload.at)}); the old configuration is in force.\n${fault}` : "";
  // Equal text is not set again, or a screen reader reads it every second.
  if (find("reload").textContent !== told) find("reload").textContent = told;
  width = Math.max(find("rates").clientWidth, 200);
  drawRates(state);
  drawTimes(state);
  drawBackends(state.backends);
}

function drawBackends(backends) {
  find("backends-section").hidden = backends.length === 0;
  const list = find("backends");
  const known = new Map([...list.children].map((item) => [item.dataset.id, item]));
  list.replaceChildren(...backends.map((backend) => {
    const id = JSON.stringify([backend.path, backend.name]);
    const item = known.get(id) ?? element("li", {}, element("h3", {}, element("span"), element("span")), element("p", { class: "bad", hidden: true }), element("dl"), element("details", { hidden: true }, element("summary", {}, "Standard error"), element("pre", { class: "log", tabindex: 0, role: "region", "aria-label": `Standard error of ${backend.name}` })));
    item.dataset.id = id;
    const [heading, reason, list, details] = item.children;
    heading.firstChild.textContent = backend.name;
    heading.lastChild.textContent = backend.state;
    heading.lastChild.className = `state ${{ up: "good", idle: "quiet", down: "bad" }[backend.state]}`;
    reason.hidden = !backend.reason;
    reason.textContent = backend.reason ?? "";
    const { calls } = backend;
    const facts = [
      ["Place", backend.place],
      backend.since !== undefined && backend.since !== null && [backend.state === "up" ? "Connected for" : "Down for", duration(backend.since)],
      backend.revision && ["Revision", backend.revision],
      backend.restarts !== undefined && ["Restarts", count(backend.restarts)],
      ["Calls", `${count(calls.calls)}${calls.failed ? `, ${count(calls.failed)} failed` : ""}`],
      calls.median !== null && ["Latency", `median ${took(calls.median)}, 95 % ${took(calls.slow)}`],
      ["Entries", `${count(backend.entries)}${backend.hidden ? `, ${count(backend.hidden)} hidden by policy` : ""}`],
      backend.sessions > 0 && ["Sessions", count(backend.sessions)],
      ["Server", `${backend.server} ${backend.path}`],
    ].filter(Boolean);
    list.replaceChildren(...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
    const lines = backend.stderr ?? [];
    details.hidden = lines.length === 0;
    if (details.lastChild.textContent !== lines.join("\n")) details.lastChild.textContent = lines.join("\n");
    return item;
  }));
}

// The exchanges.

function matches(exchange) {
  const outcome = find("outcome").value;
  if (outcome === "failed" && !failed(exchange) || outcome === "refused" && exchange.end !== "refused") return false;
  const words = find("filter").value.toLowerCase().split(" ").filter(Boolean);
  const text = [what(exchange), exchange.caller, exchange.application, exchange.peer, exchange.server, exchange.backend, exchange.end, exchange.reason, exchange.code, exchange.status, exchange.revision].filter(Boolean).join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function messages(exchange) {
  const print = (all) => (all ?? []).map((message) => (typeof message === "string" ? message : JSON.stringify(message, null, 2))).join("\n\n");
  const facts = [["Time", new Date(exchange.at).toLocaleString()], ["Address", exchange.peer], ["Application", exchange.application], ["Server", exchange.server], ["Revision", exchange.revision], ["HTTP status", exchange.status], ["Error code", exchange.code], ["Reason", exchange.reason && `${exchange.reason} (docs/operations.md explains it under "Log")`], ["Bytes", `${count(exchange.received)} in, ${count(exchange.sent)} out`]];
  const told = facts.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => `${name}: ${value}`).join("\n");
  const parts = exchange.request ? [told, "Request", print(exchange.request), "Answer", print(exchange.answer)] : [told];
  return parts.map((part, index) => (index === 1 || index === 3 ? element("h3", {}, part) : element("pre", {}, part)));
}

function drawExchanges() {
  const shown = exchanges.filter(matches).reverse();
  const focused = document.activeElement?.dataset?.number;
  find("exchanges").replaceChildren(...shown.flatMap((exchange) => {
    const end = [exchange.end, exchange.reason ?? exchange.code].filter(Boolean).join(": ");
    const isOpen = opened === exchange.number;
    const button = element("button", { type: "button", "aria-expanded": String(isOpen), "data-number": exchange.number }, what(exchange));
    button.addEventListener("click", () => {
      opened = isOpen ? null : exchange.number;
      drawExchanges();
    });
    const drawn = row(time(exchange.at), [button, ""], [end, failed(exchange) ? "bad" : "good"], [took(exchange.microseconds), "number"], [who(exchange), "wrap"], exchange.backend,
      [exchange.server, "more"], [exchange.revision, "more"], [count(exchange.received), "more number"], [count(exchange.sent), "more number"]);
    if (!isOpen) return [drawn];
    const detail = document.createElement("tr");
    const cell = detail.insertCell();
    cell.colSpan = 10;
    cell.className = "wrap";
    cell.append(...messages(exchange));
    return [drawn, detail];
  }));
  // The rows are new, so the focus has to be set again.
  if (focused !== undefined) find("exchanges").querySelector(`[data-number="${focused}"]`)?.focus({ preventScroll: true });
  find("count").textContent = `${shown.length} of ${exchanges.length}`;
  drawGroups();
}

function drawGroups() {
  const groups = (key, of) => {
    const all = new Map();
    for (const exchange of of) all.set(key(exchange), [...(all.get(key(exchange)) ?? []), exchange]);
    return [...all].sort(([, one], [, other]) => other.length - one.length);
  };
  const bad = (group) => { const number = group.filter(failed).length; return [count(number), number ? "number bad" : "number"]; };
  find("callers").replaceChildren(...groups(who, exchanges).map(([caller, group]) => row([caller, "wrap"], [count(group.length), "number"], bad(group), time(group.at(-1).at))));
  // A subscription lasts as long as its client likes.
  const timed = exchanges.filter((exchange) => exchange.method !== "subscriptions/listen");
  find("latencies").replaceChildren(...groups((exchange) => `${servers.length > 1 ? `${exchange.server}: ` : ""}${what(exchange)}`, timed).map(([name, group]) => {
    const times = group.map((exchange) => exchange.microseconds).sort((a, b) => a - b);
    const at = (share) => took(times[Math.min(times.length - 1, Math.floor(share * times.length))]);
    return row([name, "wrap"], [count(group.length), "number"], bad(group), [at(0.5), "number"], [at(0.95), "number"], [at(1), "number"]);
  }));
}

let drawn = false;
let last = 0;
function listen() {
  const source = new EventSource("events");
  source.onopen = () => {
    // What is kept comes again after each start of the stream.
    exchanges.length = waiting.length = 0;
    find("connection").textContent = "live";
    find("connection").className = "pill good";
  };
  source.onerror = () => {
    find("connection").textContent = "the server does not answer; trying again";
    find("connection").className = "pill bad";
  };
  source.addEventListener("missed", (event) => { find("connection").textContent = `live, ${event.data} exchanges were not shown`; });
  source.addEventListener("state", (event) => drawState(JSON.parse(event.data)));
  source.onmessage = (event) => {
    // While the page is paused, the newest exchanges wait.
    const list = isPaused ? waiting : exchanges;
    list.push({ ...JSON.parse(event.data), number: ++last });
    if (list.length > KEPT) list.shift();
    if (drawn || isPaused) return;
    drawn = true;
    setTimeout(() => { drawn = false; drawExchanges(); }, 100);
  };
}

// The forms.

/** Sends a request to the server that is chosen, and returns its result. Messages before the answer are left out. */
async function ask(method, params, name) {
  const number = find("server").selectedIndex;
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream", "mcp-protocol-version": REVISION, "mcp-method": method };
  // MCP 2026-07-28 streamable-http: a name that a field cannot carry is encoded.
  if (name) headers["mcp-name"] = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(name) && !name.startsWith("=?") ? name : `=?base64?${btoa(String.fromCharCode(...new TextEncoder().encode(name)))}?=`;
  if (find("key").value) headers["x-functions-key"] = find("key").value;
  if (find("token").value) headers.authorization = `Bearer ${find("token").value}`;
  const meta = { "io.modelcontextprotocol/protocolVersion": REVISION, "io.modelcontextprotocol/clientCapabilities": {}, "io.modelcontextprotocol/clientInfo": { name: "status page", version: "1" } };
  const body = `{"jsonrpc":"2.0","id":1,"method":${JSON.stringify(method)},"params":${printed({ ...params, _meta: meta })}}`;
  const response = await fetch(`try/${number}`, { method: "POST", headers, body });
  const text = await response.text();
  const isStream = (response.headers.get("content-type") ?? "").startsWith("text/event-stream");
  const messages = isStream ? text.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)) : [text];
  const answer = messages.filter((message) => message.trim()).map((message) => JSON.parse(message)).find((message) => message.result || message.error);
  if (answer?.result) return answer.result;
  throw new Error(answer?.error ? `${answer.error.code}: ${answer.error.message}` : `the server answers with ${response.status}`);
}

/** All pages of a list. */
async function all(method, member) {
  const found = [];
  let cursor;
  do {
    const page = await ask(method, cursor === undefined ? {} : { cursor });
    found.push(...(page[member] ?? []));
    cursor = page.nextCursor;
  } while (cursor !== undefined && found.length < 10_000);
  return found;
}

const KINDS = {
  tools: { label: "Tool", verb: "Call", list: () => all("tools/list", "tools"), key: "name" },
  prompts: { label: "Prompt", verb: "Get", list: () => all("prompts/list", "prompts"), key: "name" },
  resources: { label: "Resource", verb: "Read", list: async () => [...await all("resources/list", "resources"), ...await all("resources/templates/list", "resourceTemplates")], key: "uri" },
};
const kind = () => KINDS[find("kind").value];

/** The schema of the arguments of an entry: prompts and templates have texts. */
function schemaOf(entry) {
  const texts = (names, required) => ({ type: "object", properties: Object.fromEntries(names.map(([name, description]) => [name, { type: "string", format: "line", description }])), required });
  if (entry.inputSchema) return entry.inputSchema;
  if (entry.uriTemplate) {
    const names = [...entry.uriTemplate.matchAll(/\{[+#./;?&]?([^}]*)\}/g)].flatMap(([, list]) => list.split(",").map((name) => name.replace(/[*:].*/, "")));
    return texts(names.map((name) => [name]), names);
  }
  const declared = entry.arguments ?? [];
  return texts(declared.map(({ name, description }) => [name, description]), declared.filter(({ required }) => required).map(({ name }) => name));
}

function choose() {
  const entry = entries[find("entry").selectedIndex];
  find("about").textContent = entry?.description ?? "";
  form = entry ? formOf(schemaOf(entry)) : null;
  find("arguments-form").replaceChildren(...(form?.views ?? []));
  find("call").disabled = !entry;
  const readOnly = entry?.annotations?.readOnlyHint;
  find("call").textContent = kind().verb;
  if (entry && find("kind").value === "tools" && readOnly !== true) find("about").append(element("span", { class: "hint" }, " Not marked as read-only: a call may change something."));
  if (find("as-json").checked) find("arguments").value = draft();
}

/** The arguments of the form as they are now, even if some are not valid. */
function draft() {
  try { return JSON.stringify(JSON.parse(form?.json() ?? "{}"), null, 2); } catch { return "{}"; }
}

function switchForm() {
  const asJson = find("as-json").checked;
  if (asJson) find("arguments").value = draft();
  find("json-row").hidden = !asJson;
  find("arguments-form").hidden = asJson;
}

async function list() {
  entries = [];
  show([]);
  find("entry-label").textContent = kind().label;
  try {
    entries = await kind().list();
    if (entries.length === 0) show([element("p", { class: "quiet" }, `The server offers no ${find("kind").value}.`)]);
  } catch (error) {
    show([element("p", { class: "bad" }, `The ${find("kind").value} cannot be listed: ${error.message}`)]);
  }
  find("entry").replaceChildren(...entries.map((entry) => {
    const key = entry.uriTemplate ?? entry[kind().key];
    return new Option(entry.title && entry.title !== key ? `${key} – ${entry.title}` : key, key);
  }));
  choose();
}

function chosen() {
  const policy = servers[find("server").selectedIndex]?.shows ?? [];
  find("key-row").hidden = !policy.includes("key");
  find("token-row").hidden = !policy.includes("token");
  return list();
}

const show = (parts) => find("answer").replaceChildren(...parts);

/** The elements that show one block of content. */
function block(content) {
  if (content.type === "text" || content.text !== undefined) return element("pre", {}, content.text);
  if (content.type === "image" && /^image\/(png|jpeg|gif|webp)$/.test(content.mimeType ?? "")) return element("img", { src: `data:${content.mimeType};base64,${content.data}`, alt: "Image of the result" });
  if (content.type === "resource") return block(content.resource);
  return element("pre", {}, JSON.stringify(content, null, 2));
}

function blocks(result) {
  if (result.resultType === "input_required") return [element("p", {}, "The server asks a question, which this page cannot answer:"), element("pre", {}, JSON.stringify(result.inputRequests, null, 2))];
  if (result.messages) return result.messages.flatMap(({ role, content }) => [element("h3", {}, role), block(content)]);
  if (result.contents) return result.contents.map(block);
  const shown = (result.content ?? []).map(block);
  if (result.structuredContent !== undefined) {
    const details = element("details", {}, element("summary", {}, "Structured result"), element("pre", {}, JSON.stringify(result.structuredContent, null, 2)));
    shown.push(details);
  }
  return result.isError ? [element("p", { class: "bad" }, "The tool failed:"), ...shown] : shown;
}

async function run(event) {
  event.preventDefault();
  const entry = entries[find("entry").selectedIndex];
  if (!entry) return;
  const begun = performance.now();
  try {
    const text = find("as-json").checked ? find("arguments").value : form.json();
    const values = JSON.parse(text);
    const given = new Written(text);
    show([element("p", { class: "quiet" }, "Running …")]);
    let result;
    if (find("kind").value === "tools") result = await ask("tools/call", { name: entry.name, arguments: given }, entry.name);
    else if (find("kind").value === "prompts") result = await ask("prompts/get", { name: entry.name, arguments: given }, entry.name);
    else {
      const uri = entry.uri ?? entry.uriTemplate.replace(/\{([+#./;?&]?)([^}]*)\}/g, (_, operator, names) => names.split(",").map((name) => (operator === "+" ? encodeURI : encodeURIComponent)(values[name.replace(/[*:].*/, "")] ?? "")).join(","));
      result = await ask("resources/read", { uri }, uri);
    }
    show([...blocks(result), element("p", { class: "quiet" }, `Answered in ${took(Math.round((performance.now() - begun) * 1000))}`)]);
  } catch (error) {
    show([element("p", { class: "bad" }, error.message)]);
  }
}

function pause() {
  isPaused = !isPaused;
  find("pause").setAttribute("aria-pressed", isPaused);
  find("pause").textContent = isPaused ? "Continue" : "Pause";
  if (!isPaused) exchanges.push(...waiting.splice(0));
  exchanges.splice(0, exchanges.length - KEPT);
  drawExchanges();
}

async function start() {
  const page = await (await fetch("servers")).json();
  servers = page.servers;
  find("version").textContent = page.version;
  find("servers").replaceChildren(...servers.map((server) => {
    const needs = server.shows.length ? `Callers need a ${server.shows.join(" or a ")}.` : "Every caller that reaches it may call.";
    return element("li", {}, element("h3", {}, `${server.name} ${server.path}`), needs, server.tools.length ? ` Demo tools: ${server.tools.join(", ")}.` : "");
  }));
  find("server").replaceChildren(...servers.map((server) => new Option(`${server.name} ${server.path}`)));
  find("server").onchange = chosen;
  for (const id of ["kind", "key", "token"]) find(id).onchange = list;
  find("entry").onchange = choose;
  find("as-json").onchange = switchForm;
  find("try").onsubmit = run;
  find("pause").onclick = pause;
  for (const id of ["filter", "outcome"]) find(id).oninput = drawExchanges;
  listen();
  await chosen();
}

start();
