// Uses the status page as a person would, in a real browser (see README.md): reads the backends and the exchanges of other
// clients, calls tools, and does the same with the keyboard alone. axe-core looks for faults in both widths and both color
// schemes. The first argument is the URL of the page, the second that of a server on it.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [page_url, server_url] = process.argv.slice(2);
const packages = process.env.FOREIGN_DIR ?? fileURLToPath(new URL('../../target/foreign', import.meta.url));
const require = createRequire(`${packages}/`);
const { default: puppeteer } = await import(pathToFileURL(require.resolve('puppeteer-core')));
const axe = readFileSync(createRequire(`${packages}/page/`).resolve('axe-core/axe.min.js'), 'utf8');

const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    // Root has no sandbox, and small machines have little shared memory.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
const faults = [];
const check = (holds, what) => { if (!holds) throw new Error(what); };

/** Opens the page, and waits until it is live. */
async function open(width, scheme) {
    const page = await browser.newPage();
    page.setDefaultTimeout(30_000);
    page.on('pageerror', error => faults.push(String(error)));
    page.on('console', message => message.type() === 'error' && faults.push(message.text()));
    page.on('request', request => {
        if (![page_url, 'data:'].some(own => request.url().startsWith(own))) faults.push(`a request to ${request.url()}`);
    });
    await page.setViewport({ width, height: 900 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.goto(page_url);
    const shows = (id, text) =>
        page.waitForFunction((id, text) => document.getElementById(id).textContent.includes(text), {}, id, text).catch(async error => {
            const there = await page.$eval(`#${id}`, element => element.textContent);
            throw new Error(`${id} does not show ${text}: ${there.slice(0, 500)}: ${error.message}`);
        });
    await shows('connection', 'live');
    await shows('backends', 'there');
    return { page, shows };
}

/** Calls a tool as another client does. */
async function call(name, values) {
    const headers = {
        'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call', 'mcp-name': name,
    };
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
    const params = { name, arguments: values, _meta: meta };
    const response = await fetch(server_url, { method: 'POST', headers, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }) });
    return response.json();
}

async function withMouse() {
    const { page, shows } = await open(1200, 'light');
    await shows('servers', 'Demo tools: echo, add.');
    await shows('about', 'Repeat a text exactly');
    const choose = async tool => {
        await page.select('#entry', tool);
        await page.waitForSelector('#arguments-form [id^=argument-]');
    };
    // The fields of the form, in the order of the schema.
    const fill = async (...values) => {
        const inputs = await page.$$('#arguments-form [id^=argument-]:not([id$=hint])');
        for (const [index, value] of values.entries()) {
            await inputs[index].evaluate((input, value) => { input.value = value; }, value);
        }
    };

    // The page must never interpret a server's text as markup.
    await fill('<img src=x onerror=alert(1)> grüße');
    await page.click('#call');
    await shows('answer', '<img src=x onerror=alert(1)> grüße');
    await shows('exchanges', 'tools/call echo');
    await shows('latencies', 'tools/call echo');

    // A number of more digits than JavaScript has is sent as it was written.
    await choose('add');
    await shows('about', 'Add two integers');
    await fill('9007199254740993', '1');
    await page.click('#call');
    await shows('answer', '9007199254740994');
    await fill('9223372036854775807', '1');
    await page.click('#call');
    await shows('answer', 'The tool failed');
    await page.click('#as-json');
    await page.$eval('#arguments', area => { area.value = '{"a": '; });
    await page.click('#call');
    await shows('answer', 'JSON');
    await page.click('#as-json');

    await page.select('#kind', 'resources');
    await shows('entry', 'a:b');
    await page.click('#call');
    await shows('answer', 'content of a:b');

    // The backends, with standard error but without secrets.
    await shows('backends', 'listening with DB_PASSWORD=[hidden]');
    await shows('backends', 'cannot be reached');
    check(!(await page.content()).includes('hunter2'), 'a secret is on the page');

    // The exchanges of other clients appear live, refusals with their reason, messages without secrets.
    const refused = await fetch(server_url, { method: 'POST', headers: { origin: 'https://evil.example' }, body: '{}' });
    check(refused.status === 403, `a foreign origin got ${refused.status}`);
    await shows('exchanges', 'refused: origin');
    await call('t', { password: 'hunter2', note: 'plain' });
    await shows('exchanges', 'tools/call t');
    await shows('callers', '127.0.0.1');
    await page.evaluate(() => [...document.querySelectorAll('#exchanges button')].find(button => button.textContent === 'tools/call t').click());
    await shows('exchanges', '"note": "plain"');
    await shows('exchanges', '"password": "[hidden]"');
    await shows('exchanges', '"text": "x"');
    await page.select('#outcome', 'refused');
    await page.waitForFunction(() => [...document.querySelectorAll('#exchanges > tr > td:nth-child(3)')].every(end => end.textContent.startsWith('refused')));
    await page.close();
}

async function withKeyboard() {
    const { page, shows } = await open(1200, 'dark');
    await shows('about', 'Repeat a text exactly');
    /** Presses Tab until the element has the focus. */
    const to = async selector => {
        for (let presses = 0; presses < 400; presses++) {
            if (await page.evaluate(selector => document.activeElement.matches(selector), selector)) return;
            await page.keyboard.press('Tab');
        }
        throw new Error(`the keyboard does not reach ${selector}`);
    };
    await to('#entry');
    await page.keyboard.type('add');
    await shows('about', 'Add two integers');
    await to('#arguments-form [id^=argument-]');
    await page.keyboard.type('40');
    await page.keyboard.press('Tab');
    await page.keyboard.type('2');
    await to('#call');
    await page.keyboard.press('Enter');
    await shows('answer', '42');

    await call('echo', { text: 'one' });
    await to('#filter');
    await page.keyboard.type('call add');
    await page.waitForFunction(() => {
        const rows = [...document.querySelectorAll('#exchanges button')];
        return rows.length > 0 && rows.every(row => row.textContent === 'tools/call add');
    });
    for (let presses = 0; presses < 8; presses++) await page.keyboard.press('Backspace');
    await to('#pause');
    await page.keyboard.press('Space');
    const shown = () => page.$eval('#count', count => count.textContent);
    const before = await shown();
    await call('echo', { text: 'two' });
    // The state, which comes once a second, shows that the exchange was counted.
    const total = () => page.$eval('#total', total => total.textContent);
    const counted = await total();
    await call('echo', { text: 'three' });
    await page.waitForFunction(counted => document.getElementById('total').textContent !== counted, {}, counted);
    check((await shown()) === before, 'a paused page shows new exchanges');
    await page.keyboard.press('Space');
    await page.waitForFunction(before => document.getElementById('count').textContent !== before, {}, before);

    // The messages of an exchange, and back.
    await to('#exchanges button');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#exchanges button[aria-expanded=true]');
    check(await page.evaluate(() => document.activeElement.getAttribute('aria-expanded') === 'true'), 'the focus is lost');
    await page.close();
}

async function looks(width, scheme) {
    const { page, shows } = await open(width, scheme);
    await shows('exchanges', 'tools/call');
    await shows('about', 'Repeat a text exactly');
    await page.evaluate(() => {
        document.querySelectorAll('details').forEach(details => { details.open = true; });
        document.querySelector('#exchanges button').click();
    });
    await page.waitForSelector('#exchanges button[aria-expanded=true]');
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    check(wide <= width, `at ${width} px the page is ${wide} px wide`);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run());
    const told = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(node => node.target.join(' ')).join(', ')}`);
    check(violations.length === 0, `${width} px, ${scheme}: ${told.join('\n')}`);
    if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${width}-${scheme}.png`, fullPage: true });
    await page.close();
}

try {
    await withMouse();
    await withKeyboard();
    for (const width of [400, 1200]) for (const scheme of ['light', 'dark']) await looks(width, scheme);
    check(faults.length === 0, faults.join('\n'));
    console.log('ok: status page');
} finally {
    await browser.close();
}
