// Signs in on the pages of `attache dev-issuer` as a person would, in a real browser, with the keyboard alone (see README.md).
// The argument is the issuer's URL.

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [issuer] = process.argv.slice(2);
const packages = process.env.FOREIGN_DIR ?? fileURLToPath(new URL('../../target/foreign', import.meta.url));
const require = createRequire(`${packages}/`);
const { default: puppeteer } = await import(pathToFileURL(require.resolve('puppeteer-core')));

const check = (holds, message) => {
    if (!holds) throw new Error(message);
};

// The client, which listens on a port that it has not registered.
const callbacks = [];
const client = createServer((request, response) => {
    const url = new URL(request.url, 'http://127.0.0.1');
    if (url.pathname === '/callback') callbacks.push({ url, headers: request.headers });
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>done</title>');
});
await new Promise(resolve => client.listen(0, '127.0.0.1', resolve));
const redirect_uri = `http://127.0.0.1:${client.address().port}/callback`;

const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
const post = (url, type, body) => fetch(url, { method: 'POST', headers: { 'content-type': type }, body });
const registration = { client_name: 'Browser <test>', redirect_uris: ['http://127.0.0.1/callback'] };
const { client_id } = await (await post(metadata.registration_endpoint, 'application/json', JSON.stringify(registration))).json();
const code_verifier = 'v'.repeat(43);
const request = state => `${metadata.authorization_endpoint}?${new URLSearchParams({
    response_type: 'code', client_id, redirect_uri, state, scope: 'read write', code_challenge_method: 'S256',
    code_challenge: createHash('sha256').update(code_verifier).digest('base64url'),
})}`;

const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
try {
    const faults = [];
    const open = async (state, scheme = 'light') => {
        const page = await browser.newPage();
        page.setDefaultTimeout(20_000);
        await page.setJavaScriptEnabled(false);
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
        page.on('console', message => message.type() === 'error' && !message.text().includes('favicon') && faults.push(message.text()));
        await page.goto(request(state));
        return page;
    };
    const focused = page => page.evaluate(() => {
        const { name, value, type } = document.activeElement;
        return `${type} ${name} ${value}`;
    });
    const press = async (page, ...keys) => {
        for (const key of keys) await page.keyboard.press(key);
    };
    const finish = async page => {
        await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
        return callbacks.pop();
    };

    // The second person, without the second scope, by keys alone.
    const page = await open('one', 'dark');
    const text = await page.$eval('main', main => main.textContent);
    for (const words of ['Browser <test>', redirect_uri, 'made up', 'read', 'write']) check(text.includes(words), `${words}: ${text}`);
    const colour = await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
    check(colour === 'light dark', `the colour scheme is ${colour}`);
    await press(page, 'Tab', 'ArrowDown', 'Tab', 'Tab', 'Space', 'Tab');
    check(await focused(page) === 'submit decision allow', `the focus is on ${await focused(page)}`);
    const { url, headers } = await finish(page);
    check(url.searchParams.get('state') === 'one' && url.searchParams.get('iss') === issuer, `the callback is ${url}`);
    check(headers.referer === undefined, `the client gets the referrer ${headers.referer}`);
    const form = { grant_type: 'authorization_code', client_id, redirect_uri, code_verifier, code: url.searchParams.get('code') };
    const tokens = await (await post(metadata.token_endpoint, 'application/x-www-form-urlencoded', new URLSearchParams(form))).json();
    const claims = JSON.parse(Buffer.from(tokens.access_token.split('.')[1], 'base64url'));
    check(claims.sub === 'bob' && claims.scope === 'read', JSON.stringify(claims));

    // Two tabs at once: each lands on its own callback, and one denies.
    const [two, three] = [await open('two'), await open('three')];
    await three.focus('button[value=deny]');
    const denied = (await finish(three)).url;
    check(denied.searchParams.get('error') === 'access_denied' && denied.searchParams.get('state') === 'three', `${denied}`);
    await two.focus('button[value=allow]');
    const allowed = (await finish(two)).url;
    check(allowed.searchParams.has('code') && allowed.searchParams.get('state') === 'two', `${allowed}`);

    // No other page can show it in a frame.
    const framing = await browser.newPage();
    await framing.setContent(`<iframe src="${request('framed').replaceAll('&', '&amp;')}"></iframe>`);
    await new Promise(resolve => setTimeout(resolve, 1000));
    const frames = await Promise.all(framing.frames().slice(1).map(frame => frame.content().catch(() => '')));
    check(!frames.join().includes('decision'), 'the page is shown in a frame');

    // A browser without cookies is told so, and the client gets no code.
    const blocked = await open('blocked');
    const session = await blocked.createCDPSession();
    await session.send('Network.clearBrowserCookies');
    await blocked.focus('button[value=allow]');
    await Promise.all([blocked.waitForNavigation(), blocked.keyboard.press('Enter')]);
    check((await blocked.$eval('main', main => main.textContent)).includes('cookie'), 'the page does not name the cookie');
    check(callbacks.length === 0, 'a code was sent');

    const real = faults.filter(fault => !fault.includes('400'));
    check(real.length === 0, real.join('\n'));
    console.log('ok: consent pages');
} finally {
    await browser.close();
    client.close();
}
