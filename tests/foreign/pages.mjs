// Signs in on the sign-in pages of `attache serve` as a person would, in a real browser, with the keyboard alone, at the provider that
// issuer.mjs starts (see README.md). The argument is the origin of the server. The path /mcp needs a session.

import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [origin] = process.argv.slice(2);
const packages = process.env.FOREIGN_DIR ?? fileURLToPath(new URL('../../target/foreign', import.meta.url));
const require = createRequire(`${packages}/`);
const { default: puppeteer } = await import(pathToFileURL(require.resolve('puppeteer-core')));

const check = (holds, message) => {
    if (!holds) throw new Error(message);
};

const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
try {
    const faults = [];
    const newPage = async (context, scheme = 'light') => {
        const page = await context.newPage();
        page.setDefaultTimeout(20_000);
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
        // The pages of the provider have other faults, such as fonts that they cannot load.
        page.on('console', message => {
            if (message.text().includes('Content Security Policy') && at(page).origin === origin) faults.push(message.text());
        });
        return page;
    };
    const text = page => page.$eval('main', main => main.textContent);
    const at = page => new URL(page.url());
    const enter = page => Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    // Presses Tab until the focus is on the element, as a person without a mouse does.
    const focus = async (page, selector) => {
        for (let tabs = 0; tabs < 20; tabs += 1) {
            if (await page.evaluate(wanted => document.activeElement?.matches(wanted), selector)) return;
            await page.keyboard.press('Tab');
        }
        throw new Error(`Tab does not reach ${selector} on ${page.url()}`);
    };
    // The pages of the provider: a name and a password, then the consent.
    const signIn = async (page, name) => {
        await focus(page, 'input[name=login]');
        await page.keyboard.type(name);
        await page.keyboard.press('Tab');
        await page.keyboard.type('any');
        await enter(page);
        await focus(page, 'button[type=submit]');
        await enter(page);
    };
    const call = page => page.evaluate(async () => {
        const params = { name: 'echo', arguments: { text: 'hello' } };
        const response = await fetch('/mcp', {
            method: 'POST',
            headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
            body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }),
        });
        return { status: response.status, body: await response.text() };
    });
    const me = page => page.evaluate(async () => {
        const response = await fetch('/.auth/me');
        return { status: response.status, body: await response.json() };
    });

    const isSignedIn = async page => (await page.goto(`${origin}/.auth/me`)).status() === 200;

    // The page to choose a provider, in the dark, by keys alone.
    const context = await browser.createBrowserContext();
    const page = await newPage(context, 'dark');
    await page.goto(`${origin}/mcp`);
    check(at(page).pathname === '/.auth/login', `the browser is at ${page.url()}`);
    const [background, label] = await page.evaluate(() => [
        getComputedStyle(document.querySelector('a.button')).backgroundColor, document.activeElement.tagName,
    ]);
    check(background === 'rgb(42, 42, 42)' && label === 'BODY', `${background} ${label}`);
    await focus(page, 'a[href^="/.auth/login/company"]');
    await enter(page);
    check(at(page).origin !== origin, 'the provider asks for the name');
    await signIn(page, 'ada');
    check(`${page.url()}` === `${origin}/mcp`, `after the sign-in the browser is at ${page.url()}`);

    // The session is the caller of the MCP endpoint and of /.auth/me, which shows tokens to scripts alone.
    const called = await call(page);
    check(called.status === 200 && called.body.includes('hello'), JSON.stringify(called));
    const known = await me(page);
    check(known.status === 200 && known.body[0].user_claims.some(claim => claim.val === 'ada'), JSON.stringify(known));
    check(typeof known.body[0].access_token === 'string', 'a script of the server sees the token');
    await page.goto(`${origin}/.auth/me`);
    check(!(await page.content()).includes('access_token'), 'a person who opens the page does not');
    const cookies = await page.cookies();
    check(cookies.every(cookie => cookie.httpOnly && cookie.sameSite === 'Lax'), JSON.stringify(cookies));
    check(cookies.filter(cookie => !cookie.name.startsWith('_')).length === 1, `one cookie is left: ${JSON.stringify(cookies)}`);

    // Two tabs at once in another browser; the second one denies, and the first one signs in.
    const other = await browser.createBrowserContext();
    const [one, two] = [await newPage(other), await newPage(other)];
    await one.goto(`${origin}/.auth/login/company`);
    await two.goto(`${origin}/.auth/login/company?post_login_redirect_uri=/mcp`);
    await focus(two, 'a[href$="/abort"]');
    await enter(two);
    check((await text(two)).includes('did not sign you in'), await text(two));
    await one.bringToFront();
    await signIn(one, 'bob');
    check(at(one).pathname === '/.auth/login/done' && (await text(one)).includes('You have signed in as'), await text(one));

    // The callback is good once, and for the browser in which the sign-in began alone.
    const third = await browser.createBrowserContext();
    const victim = await newPage(third);
    let callback;
    victim.on('request', request => {
        if (request.isNavigationRequest() && request.url().includes('/callback?')) callback = request.url();
    });
    await victim.goto(`${origin}/.auth/login/company`);
    await signIn(victim, 'mallory');
    check(callback, 'the callback was seen');
    await victim.goto(callback);
    check((await text(victim)).includes('complete already'), await text(victim));
    const stranger = await newPage(await browser.createBrowserContext());
    await stranger.goto(callback);
    check((await text(stranger)).includes('another browser'), await text(stranger));
    check(!(await isSignedIn(stranger)), 'the stranger is signed in');

    // A page of another origin can neither call with the cookie, nor sign the person out by a link.
    await page.goto(`data:text/html,<a id="out" href="${origin}/.auth/logout">out</a>`);
    const foreign = await page.evaluate(async url => {
        try {
            return (await fetch(url, { credentials: 'include', mode: 'no-cors' })).type;
        } catch {
            return 'refused';
        }
    }, `${origin}/.auth/logout`);
    check(['opaque', 'refused'].includes(foreign), foreign);
    await page.focus('#out');
    await enter(page);
    check((await text(page)).includes('Another website has sent you'), await text(page));
    await focus(page, 'button.allow');
    await enter(page);

    // The provider asks whether the person wants to sign out there as well.
    check(at(page).origin !== origin && page.url().includes('/session/end'), `the browser is at ${page.url()}`);
    await focus(page, 'button[name=logout]');
    await enter(page);
    check(`${origin}${at(page).pathname}` === `${origin}/.auth/logout/done`, `the browser is at ${page.url()}`);
    check(!(await isSignedIn(page)), 'the session has not ended');
    check(faults.length === 0, faults.join('\n'));
    console.log('ok: sign-in pages');
} finally {
    await browser.close();
}
