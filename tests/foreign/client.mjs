// Drives an MCP server with the official TypeScript client and checks every answer (see README.md).

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

// The packages are not installed next to this file, where import would look for them.
const packages = process.env.FOREIGN_DIR ?? fileURLToPath(new URL('../../target/foreign', import.meta.url));
const require = createRequire(`${packages}/`);
const { Client, ProtocolError, StreamableHTTPClientTransport } = require('@modelcontextprotocol/client');
const { StdioClientTransport } = require('@modelcontextprotocol/client/stdio');
const sdk = JSON.parse(readFileSync(`${packages}/node_modules/@modelcontextprotocol/client/package.json`)).version;

const VERSIONS = { modern: '2026-07-28', legacy: '2025-11-25' };
const INVALID_PARAMS = -32602;
const WATCHDOG_MS = 60_000;
// Built into StdioClientTransport: it kills a child that still runs after this time.
const GRACE_MS = 2_000;
const USAGE = 'usage: client.mjs --era ERA [--expect TABLE] (http URL | stdio -- COMMAND ARGS...)';

/** The server did something else than expected. */
class Mismatch extends Error {}

function check(holds, message) {
    if (!holds) throw new Mismatch(message);
}

const describe = call => `${call.tool} ${JSON.stringify(call.arguments)}`.slice(0, 200);

/** One pass over the table of expectations; `step` says where it stands when something goes wrong. */
class Run {
    step = 'connect';
    calls = 0;
    transportErrors = [];

    constructor(era, expected, transport) {
        this.era = era;
        this.expected = expected;
        this.transport = transport;
        const mode = era === 'modern' ? { pin: VERSIONS.modern } : 'legacy';
        this.client = new Client({ name: 'foreign', version: '1' }, { versionNegotiation: { mode } });
        // The SDK reports unreadable messages and refused HTTP requests here, and only here if no
        // call waits for them.
        this.client.onerror = error => this.transportErrors.push(error.message);
    }

    async drive() {
        await this.client.connect(this.transport);
        try {
            this.checkNegotiated();
            await this.listTools();
            this.step = 'good calls';
            for (const call of this.expected.good) await this.goodCall(call);
            this.step = 'bad calls';
            for (const call of this.expected.bad) await this.badCall(call);
            await this.unknownTool();
            this.step = 'calls at once';
            await Promise.all(this.expected.together.map(call => this.goodCall(call)));
            if (this.era === 'legacy') {
                this.step = 'ping';
                await this.client.ping();
                // The SDK leaves it to its user to end an HTTP session.
                this.step = 'end of session';
                await this.transport.terminateSession?.();
            }
            this.step = 'close';
        } finally {
            await this.close();
        }
        check(this.transportErrors.length === 0, `the transport reported: ${this.transportErrors.join('; ')}`);
    }

    async close() {
        const closing = performance.now();
        await this.client.close();
        const took = performance.now() - closing;
        // A timer may fire a moment early, hence the margin.
        const killed = this.transport instanceof StdioClientTransport && took > GRACE_MS - 20;
        check(this.step !== 'close' || !killed, `server did not exit within ${(took / 1000).toFixed(1)} s after its stdin closed`);
    }

    checkNegotiated() {
        const got = this.client.getNegotiatedProtocolVersion();
        check(got === VERSIONS[this.era], `negotiated ${got} instead of ${VERSIONS[this.era]}`);
        check(this.client.getServerVersion()?.name, 'serverInfo has no name');
        check(this.client.getServerCapabilities()?.tools, 'no tools capability');
    }

    async listTools() {
        this.step = 'list tools';
        const { tools } = await this.client.listTools();
        const names = tools.map(tool => tool.name).sort();
        check(names.join() === this.expected.tools.join(), `tools are [${names}] instead of [${this.expected.tools}]`);
        for (const tool of tools) {
            check(tool.description, `tool ${tool.name} has no description`);
            check(tool.inputSchema.type === 'object', `inputSchema of ${tool.name} is not of type object`);
        }
    }

    async call(name, args) {
        this.calls += 1;
        return this.client.callTool({ name, arguments: args });
    }

    async goodCall(call) {
        const { content, isError } = await this.call(call.tool, call.arguments);
        const came = `${describe(call)}: came ${JSON.stringify(content).slice(0, 400)}`;
        check(!isError, `${came} with isError`);
        check(content.length === 1 && content[0].type === 'text', `${came} instead of one text block`);
        const { text } = content[0];
        if (call.is !== undefined) check(text === call.is, `${came} instead of ${JSON.stringify(call.is).slice(0, 400)}`);
        else check(new RegExp(call.matches).test(text), `${came}, which does not match ${call.matches}`);
    }

    async badCall(call) {
        const result = await this.call(call.tool, call.arguments).catch(error => {
            if (!(error instanceof ProtocolError)) throw error;
            throw new Mismatch(`${describe(call)}: came protocol error ${error.code} (${error.message}) instead of a result`);
        });
        const text = result.content.filter(block => block.type === 'text').map(block => block.text).join(' ');
        check(result.isError, `${describe(call)}: came '${text}' without isError`);
        const named = new RegExp(`(?<!\\w)${call.names}(?!\\w)`).test(text);
        check(named, `${describe(call)}: '${text}' does not name the argument ${call.names}`);
    }

    async unknownTool() {
        this.step = 'unknown tool';
        const result = await this.call('no_such_tool', {}).catch(error => {
            if (!(error instanceof ProtocolError)) throw error;
            check(error.code === INVALID_PARAMS, `came error ${error.code} (${error.message}) instead of ${INVALID_PARAMS}`);
        });
        check(result === undefined, `came a result instead of error ${INVALID_PARAMS}: ${JSON.stringify(result)}`);
    }
}

function loadExpected(which) {
    const expected = JSON.parse(readFileSync(new URL('expect.json', import.meta.url)))[which];
    for (const call of expected.good) {
        if (call.repeat === undefined) continue;
        call.arguments.text = call.arguments.text.repeat(call.repeat);
        call.is = call.is.repeat(call.repeat);
    }
    return expected;
}

function parseArguments(argv) {
    // Everything after "--" is the server's own command line.
    const split = argv.includes('--') ? argv.indexOf('--') : argv.length;
    const options = { era: { type: 'string' }, expect: { type: 'string', default: 'host' } };
    const { values, positionals } = parseArgs({ args: argv.slice(0, split), options, allowPositionals: true });
    const [kind, url] = positionals;
    const [command, ...args] = argv.slice(split + 1);
    const complete = kind === 'http' ? url && !command : kind === 'stdio' && !url && command;
    if (!complete || !(values.era in VERSIONS) || !['host', 'device'].includes(values.expect)) throw new Error(USAGE);
    const transport = url ? new StreamableHTTPClientTransport(new URL(url)) : new StdioClientTransport({ command, args });
    return { ...values, kind, transport };
}

let args;
try {
    args = parseArguments(process.argv.slice(2));
} catch (error) {
    console.error(error.message);
    process.exit(2);
}
const run = new Run(args.era, loadExpected(args.expect), args.transport);
const title = `typescript ${sdk} ${args.era} ${args.kind}`;

function fail(message) {
    console.error(`failed ${title}, ${run.step}: ${message}`);
    process.exit(1);
}

setTimeout(() => {
    // There is no time left for an orderly end, and a hanging server would outlive this process.
    if (args.transport.pid) process.kill(args.transport.pid);
    fail(`no end after ${WATCHDOG_MS / 1000} s`);
}, WATCHDOG_MS);

try {
    await run.drive();
} catch (error) {
    const what = [error.name, error.code].filter(part => part !== undefined).join(' ');
    fail(error instanceof Mismatch ? error.message : `${what}: ${error.message}`);
}
console.log(`ok ${title}: ${run.expected.tools.length} tools, ${run.calls} calls`);
process.exit(0);
