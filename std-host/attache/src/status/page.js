// Everything that a server or a peer has said is put in as text, never as markup.
"use strict";

const find = (id) => document.getElementById(id);
const KEPT = 200;
const REVISION = "2026-07-28";
const exchanges = [];
let servers = [];
let tools = [];

function row(...cells) {
  const row = document.createElement("tr");
  for (const cell of cells) {
    const [text, kind] = Array.isArray(cell) ? cell : [cell];
    const data = row.insertCell();
    data.textContent = text ?? "";
    if (kind) data.className = kind;
  }
  return row;
}

const time = (at) => new Date(at).toLocaleTimeString();
const took = (microseconds) =>
  microseconds < 1000 ? `${microseconds} µs` : microseconds < 1e6 ? `${(microseconds / 1000).toFixed(1)} ms` : `${(microseconds / 1e6).toFixed(1)} s`;
const what = (exchange) => [exchange.method, exchange.name].filter(Boolean).join(" ");
const failed = (exchange) => ["failed", "rejected", "refused", "broken"].includes(exchange.end);

function draw() {
  const newest = exchanges.slice().reverse();
  find("exchanges").replaceChildren(...newest.map((exchange) => {
    const end = [exchange.end, exchange.reason ?? exchange.code].filter(Boolean).join(": ");
    return row(time(exchange.at), exchange.server, what(exchange), exchange.peer ?? exchange.transport, exchange.revision,
      [end, failed(exchange) ? "bad" : "good"], took(exchange.microseconds), exchange.received, exchange.sent);
  }));
  find("refusals").replaceChildren(...newest.filter((exchange) => exchange.end === "refused").map((exchange) =>
    row(time(exchange.at), exchange.server, exchange.method, exchange.peer ?? exchange.transport, exchange.status,
      [exchange.reason ?? exchange.code, "bad"])));
  const groups = new Map();
  for (const exchange of exchanges) {
    // A subscription lasts as long as its client likes.
    if (exchange.method === "subscriptions/listen") continue;
    const key = JSON.stringify([exchange.server, what(exchange)]);
    groups.set(key, [...(groups.get(key) ?? []), exchange]);
  }
  find("latencies").replaceChildren(...[...groups].map(([key, group]) => {
    const times = group.map((exchange) => exchange.microseconds).sort((a, b) => a - b);
    const at = (share) => took(times[Math.min(times.length - 1, Math.floor(times.length * share))]);
    return row(...JSON.parse(key), group.length, group.filter(failed).length, at(0.5), at(0.95), at(1));
  }));
}

let drawn = false;
function listen() {
  const source = new EventSource("exchanges");
  source.onopen = () => {
    // What is kept comes again after each start of the stream.
    exchanges.length = 0;
    find("connection").textContent = "live";
  };
  source.onerror = () => { find("connection").textContent = "the server does not answer; trying again"; };
  source.addEventListener("missed", (event) => { find("connection").textContent = `live, ${event.data} exchanges were not shown`; });
  source.onmessage = (event) => {
    exchanges.push(JSON.parse(event.data));
    if (exchanges.length > KEPT) exchanges.shift();
    if (drawn) return;
    drawn = true;
    setTimeout(() => { drawn = false; draw(); }, 50);
  };
}

/** Sends a request to the server that is chosen, and gives the answer to it; what is told before is left out. */
async function ask(method, params, name) {
  const number = find("server").selectedIndex;
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream", "mcp-protocol-version": REVISION, "mcp-method": method };
  if (name) headers["mcp-name"] = name;
  if (find("key").value) headers["x-functions-key"] = find("key").value;
  if (find("token").value) headers.authorization = `Bearer ${find("token").value}`;
  const meta = { "io.modelcontextprotocol/protocolVersion": REVISION, "io.modelcontextprotocol/clientCapabilities": {} };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: meta } });
  const response = await fetch(`try/${number}`, { method: "POST", headers, body });
  const text = await response.text();
  const isStream = (response.headers.get("content-type") ?? "").startsWith("text/event-stream");
  const messages = isStream ? text.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)) : [text];
  const answer = messages.filter((message) => message.trim()).map((message) => JSON.parse(message)).find((message) => message.result || message.error);
  if (answer?.result) return answer.result;
  throw new Error(answer?.error ? `${answer.error.code}: ${answer.error.message}` : `the server answers with ${response.status}`);
}

/** Arguments to begin with: what the schema asks for, empty. */
function sample(schema) {
  const empty = { string: "", integer: 0, number: 0, boolean: false, array: [], object: {} };
  const wanted = schema?.required ?? [];
  return Object.fromEntries(wanted.map((name) => [name, empty[schema.properties?.[name]?.type] ?? null]));
}

function choose() {
  const tool = tools[find("tool").selectedIndex];
  find("about").textContent = tool?.description ?? "";
  find("arguments").value = JSON.stringify(sample(tool?.inputSchema), null, 2);
}

async function list() {
  tools = [];
  try {
    tools = (await ask("tools/list", {})).tools;
    find("answer").textContent = "";
  } catch (error) {
    find("answer").textContent = `The tools cannot be listed: ${error.message}`;
  }
  find("tool").replaceChildren(...tools.map((tool) => new Option(tool.title ?? tool.name, tool.name)));
  choose();
}

function chosen() {
  const policy = servers[find("server").selectedIndex]?.shows ?? [];
  find("key-row").hidden = !policy.includes("key");
  find("token-row").hidden = !policy.includes("token");
  return list();
}

async function start() {
  const page = await (await fetch("servers")).json();
  servers = page.servers;
  find("version").textContent = page.version;
  find("servers").replaceChildren(...servers.map((server) => {
    const item = document.createElement("li");
    const name = document.createElement("strong");
    name.textContent = `${server.name} ${server.path}`;
    const needs = server.shows.length ? `Callers need a ${server.shows.join(" or a ")}.` : "Anybody who reaches it may call.";
    item.append(name, document.createElement("br"), `${needs} Tools: ${server.tools.join(", ")}.`);
    return item;
  }));
  find("server").replaceChildren(...servers.map((server) => new Option(`${server.name} ${server.path}`)));
  find("server").onchange = chosen;
  find("key").onchange = list;
  find("token").onchange = list;
  find("tool").onchange = choose;
  find("try").onsubmit = async (event) => {
    event.preventDefault();
    const name = find("tool").value;
    try {
      const result = await ask("tools/call", { name, arguments: JSON.parse(find("arguments").value) }, name);
      const texts = (result.content ?? []).map((block) => block.text ?? JSON.stringify(block));
      find("answer").textContent = [result.isError ? "The tool failed:" : null, ...texts].filter((text) => text !== null).join("\n");
      find("answer").className = result.isError ? "bad" : "";
    } catch (error) {
      find("answer").textContent = error.message;
      find("answer").className = "bad";
    }
  };
  listen();
  await chosen();
}

start();
