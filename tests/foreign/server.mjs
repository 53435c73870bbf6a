// A server of the newest official TypeScript package, for tests of the client (see README.md).
import { createRequire } from "node:module";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

const root = process.env.FOREIGN_DIR ?? path.join(import.meta.dirname, "../../target/foreign");
const require = createRequire(path.join(root, "package.json"));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { McpServer, acceptedContent, createMcpHandler, inputRequired } = await load("@modelcontextprotocol/server");
const { serveStdio } = await load("@modelcontextprotocol/server/stdio");
const { z } = await load("zod");

const text = (said) => ({ content: [{ type: "text", text: said }] });
const NAME = z.object({ name: z.string() });

function make() {
    const server = new McpServer({ name: "official", version: "1.0" }, { capabilities: { tools: {}, logging: {} } });
    server.registerTool("echo", { inputSchema: z.object({ text: z.string() }) }, async ({ text: said }) => text(said));
    server.registerTool("steps", { inputSchema: z.object({ count: z.number() }) }, async ({ count }, ctx) => {
        const progressToken = ctx.mcpReq._meta?.progressToken;
        for (let progress = 1; progress <= count && progressToken !== undefined; progress++) {
            await ctx.mcpReq.notify({
                method: "notifications/progress",
                params: { progressToken, progress, total: count },
            });
        }
        return text("done");
    });
    server.registerTool("asks", { inputSchema: z.object({}) }, async (_, ctx) => {
        const answer = acceptedContent(ctx.mcpReq.inputResponses, "who", NAME);
        if (answer === undefined) {
            const who = inputRequired.elicit({ message: "Who are you?", requestedSchema: NAME });
            return inputRequired({ inputRequests: { who } });
        }
        return text(`You are ${answer.name}`);
    });
    return server;
}

/** Serves a web-standard handler on a port. */
function listen(handler, port) {
    const server = http.createServer(async (incoming, outgoing) => {
        const chunks = [];
        for await (const chunk of incoming) chunks.push(chunk);
        const gone = new AbortController();
        outgoing.on("close", () => gone.abort());
        const hasBody = !["GET", "HEAD", "DELETE"].includes(incoming.method);
        const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
            method: incoming.method,
            headers: incoming.headers,
            body: hasBody ? Buffer.concat(chunks) : undefined,
            signal: gone.signal,
        });
        const response = await handler.fetch(request);
        outgoing.writeHead(response.status, Object.fromEntries(response.headers));
        if (response.body) for await (const chunk of response.body) outgoing.write(chunk);
        outgoing.end();
    });
    server.listen(port, "127.0.0.1");
}

const [transport, port] = process.argv.slice(2);
if (transport === "stdio") serveStdio(make);
else listen(createMcpHandler(make), Number(port));
