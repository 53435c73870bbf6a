// Drives an MCP server with the official TypeScript client of the older generation (v1) and checks
// every answer (see README.md).

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

// The packages are not installed next to this file, where import would look for them.
const packages = process.env.FOREIGN_DIR ?? fileURLToPath(new URL('../../target/foreign', import.meta.url));
const require = createRequire(`${packages}/`);
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { StdioClientTransport } = require('@modelcontextprotocol/sdk/client/stdio.js');
const types = require('@modelcontextprotocol/sdk/types.js');
const sdk = JSON.parse(readFileSync(`${packages}/node_modules/@modelcontextprotocol/sdk/package.json`)).version;

const WATCHDOG_MS = 60_000;

function check(holds, message) {
    if (!holds) throw new Error(message);
}

const text = result => result.content.filter(block => block.type === 'text').map(block => block.text).join(' ');

/** What the table says of the program's own tools. */
async function demoTools(client) {
    const expected = JSON.parse(readFileSync(new URL('expect.json', import.meta.url))).host;
    for (const { tool, arguments: args, is, repeat = 1 } of expected.good) {
        const sent = repeat > 1 ? { text: args.text.repeat(repeat) } : args;
        const result = await client.callTool({ name: tool, arguments: sent });
        check(!result.isError && text(result) === is.repeat(repeat), `${tool}: came ${text(result).slice(0, 200)}`);
    }
    for (const { tool, arguments: args, names } of expected.bad) {
        const result = await client.callTool({ name: tool, arguments: args });
        check(result.isError && text(result).includes(names), `${tool}: came ${text(result).slice(0, 200)}`);
    }
    const code = await client.callTool({ name: 'no_such_tool', arguments: {} }).then(() => 0, error => error.code);
    check(code === -32602, `no_such_tool: came ${code}`);
}

/** What the example has for clients of this generation. */
async function allFeatures(client) {
    const failed = await client.callTool({ name: 'test_error_handling', arguments: {} });
    check(failed.isError, `test_error_handling: came ${JSON.stringify(failed)}`);
    const told = [];
    const onprogress = ({ progress }) => told.push(progress);
    await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, undefined, { onprogress });
    check(told.length > 1 && told.every((step, at) => at === 0 || step > told[at - 1]), `progress came as ${told}`);
    const sampled = await client.callTool({ name: 'test_sampling', arguments: { prompt: 'p' } });
    check(text(sampled).includes('to p'), `test_sampling: came ${text(sampled)}`);
    const filled = await client.callTool({ name: 'test_elicitation', arguments: { message: 'who?' } });
    check(text(filled).includes('e@x.example'), `test_elicitation: came ${text(filled)}`);
    const resumed = await client.callTool({ name: 'test_reconnection', arguments: {} });
    check(!resumed.isError, `test_reconnection: came ${JSON.stringify(resumed)}`);
    await client.getPrompt({ name: 'test_simple_prompt' });
    const { resources } = await client.listResources();
    check((await client.readResource({ uri: resources[0].uri })).contents.length > 0, 'nothing was read');
    await client.setLoggingLevel('warning');
}

const [kind, ...rest] = process.argv.slice(2);
const transport = kind === 'http' ? new StreamableHTTPClientTransport(new URL(rest[0])) : new StdioClientTransport({ command: rest[1], args: rest.slice(2) });
const title = `typescript ${sdk} ${kind}`;

setTimeout(() => {
    console.error(`failed ${title}: no end after ${WATCHDOG_MS / 1000} s`);
    process.exit(1);
}, WATCHDOG_MS);

try {
    const client = new Client({ name: 'older', version: '1' }, { capabilities: { elicitation: {}, sampling: {}, roots: {} } });
    client.setRequestHandler(types.CreateMessageRequestSchema, ({ params }) => ({
        role: 'assistant', model: 'none', content: { type: 'text', text: `to ${params.messages[0].content.text}` },
    }));
    client.setRequestHandler(types.ElicitRequestSchema, () => ({ action: 'accept', content: { username: 'u', email: 'e@x.example' } }));
    await client.connect(transport);
    const { tools } = await client.listTools();
    await (tools.some(tool => tool.name === 'echo') ? demoTools : allFeatures)(client);
    await client.ping();
    await transport.terminateSession?.();
    await client.close();
} catch (error) {
    console.error(`failed ${title}: ${error.message}`);
    process.exit(1);
}
console.log(`ok ${title}`);
process.exit(0);
