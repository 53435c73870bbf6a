// A real OpenID Connect provider on a free loopback port, where anyone may sign in (see README.md).
// Prints its URL and serves until it is killed. With CLIENT_REDIRECT, a client "gate" with the secret "secret" and this redirect URI
// is registered; CLIENT_SIGNED_OUT is the URI after a sign-out.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

// The packages are not installed next to this file, where import would look for them.
const packages = process.env.FOREIGN_DIR ?? fileURLToPath(new URL('../../target/foreign', import.meta.url));
const require = createRequire(`${packages}/`);
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));
const { exportJWK, generateKeyPair } = await import(pathToFileURL(require.resolve('jose')));

async function key(alg) {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    return { ...(await exportJWK(privateKey)), alg, kid: `key-${alg}`, use: 'sig' };
}

const server = createServer();
await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
    jwks: { keys: [await key('RS256'), await key('ES256')] },
    scopes: ['openid', 'offline_access', 'mcp.use'],
    cookies: { keys: ['only for tests'] },
    clients: process.env.CLIENT_REDIRECT
        ? [{
            client_id: 'gate', client_secret: 'secret', redirect_uris: [process.env.CLIENT_REDIRECT],
            post_logout_redirect_uris: process.env.CLIENT_SIGNED_OUT ? [process.env.CLIENT_SIGNED_OUT] : [],
        }]
        : [],
    claims: { openid: ['sub'], profile: ['name'] },
    conformIdTokenClaims: false,
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, name: `Person ${id}` }) }),
    features: {
        devInteractions: { enabled: true },
        registration: { enabled: true },
        resourceIndicators: {
            enabled: true,
            useGrantedResource: () => true,
            getResourceServerInfo: (_ctx, resource) => ({
                scope: 'mcp.use',
                audience: resource,
                accessTokenFormat: 'jwt',
                jwt: { sign: { alg: process.env.TOKEN_ALG ?? 'ES256' } },
            }),
        },
    },
});
server.on('request', provider.callback());
console.log(issuer);
