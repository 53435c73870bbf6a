// Signs in to a protected MCP server with the official TypeScript client, calls a tool, refreshes the token and calls again
// (see README.md).
//
// usage: oauth.mjs URL

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Browser } from './browser.mjs';

const packages = process.env.FOREIGN_DIR ?? fileURLToPath(new URL('../../target/foreign', import.meta.url));
const require = createRequire(`${packages}/`);
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = require('@modelcontextprotocol/client');

const REDIRECT = 'http://127.0.0.1:1/callback';
const url = new URL(process.argv[2]);

/** The client's store, and the person's browser. */
class Provider {
    redirectUrl = REDIRECT;
    clientMetadata = {
        client_name: 'test',
        redirect_uris: [REDIRECT],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'none',
    };
    registrations = 0;
    refreshes = 0;

    clientInformation = () => this.client;
    saveClientInformation(client) {
        this.registrations += 1;
        this.client = client;
    }
    tokens = () => this.saved;
    saveTokens(tokens) {
        this.refreshes += this.saved ? 1 : 0;
        this.saved = tokens;
    }
    saveCodeVerifier(verifier) {
        this.verifier = verifier;
    }
    codeVerifier = () => this.verifier;
    state = () => 'state & more';
    redirectToAuthorization(authorization) {
        this.authorization = authorization;
    }
}

const provider = new Provider();

async function call(text) {
    const transport = new StreamableHTTPClientTransport(url, { authProvider: provider });
    const client = new Client({ name: 'foreign', version: '1' });
    try {
        await client.connect(transport);
        const { content } = await client.callTool({ name: 'echo', arguments: { text } });
        if (content[0].text !== text) throw new Error(`came ${JSON.stringify(content)}`);
    } finally {
        await client.close();
    }
}

setTimeout(() => {
    console.error('no end after 60 s');
    process.exit(1);
}, 60_000).unref();

const refused = await call('nobody').then(() => undefined, error => error);
if (!(refused instanceof UnauthorizedError)) throw new Error(`without a token came ${refused}`);
const callback = await new Browser().signIn(provider.authorization.href, REDIRECT);
if (callback.searchParams.get('state') !== 'state & more') throw new Error(`the state is ${callback}`);
await new StreamableHTTPClientTransport(url, { authProvider: provider }).finishAuth(callback.searchParams);
await call('signed in');

// The server refuses this one, so the client refreshes.
provider.saved = { ...provider.saved, access_token: 'spoilt' };
await call('refreshed');
if (provider.registrations !== 1 || provider.refreshes !== 1) {
    throw new Error(`${provider.registrations} registrations and ${provider.refreshes} refreshes`);
}
console.log('ok signed in, called and refreshed');
process.exit(0);
