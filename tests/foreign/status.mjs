// Uses the status page as a person would, in a real browser (see README.md): reads the servers,
// tries a tool, and watches the exchanges of other clients. The first argument is the URL of the
// page, the second that of a server on it.

import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [page_url, server_url] = process.argv.slice(2);
const packages = process.env.FOREIGN_DIR ?? fileURLToPath(new URL('../../target/foreign', import.meta.url));
const require = createRequire(`${packages}/`);
const { default: puppeteer } = await import(pathToFileURL(require.resolve('puppeteer-core')));

const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    // Root has no sandbox, and small machines have little shared memory.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
try {
    const page = await browser.newPage();
    page.setDefaultTimeout(20_000);
    const faults = [];
    page.on('pageerror', error => faults.push(String(error)));
    page.on('console', message => message.type() === 'error' && faults.push(message.text()));
    await page.goto(page_url);
    const shows = (id, text) =>
        page.waitForFunction((id, text) => document.getElementById(id).textContent.includes(text), {}, id, text);

    await shows('servers', 'Tools: echo, add.');
    await shows('connection', 'live');
    await shows('about', 'Repeat a text exactly');
    const fill = text => page.$eval('#arguments', (area, text) => { area.value = text; }, text);

    // The page must never interpret a server's text as markup.
    await fill('{"text": "<img src=x onerror=alert(1)> grüße"}');
    await page.click('#call');
    await shows('answer', '<img src=x onerror=alert(1)> grüße');
    await shows('exchanges', 'tools/call echo');
    await shows('latencies', 'tools/call echo');

    await page.select('#tool', 'add');
    await shows('about', 'Add two integers');
    await fill('{"a": 9223372036854775807, "b": 1}');
    await page.click('#call');
    await shows('answer', 'The tool failed');
    await fill('{"a": ');
    await page.click('#call');
    await shows('answer', 'JSON');

    // The exchanges of other clients appear live, refusals with their reason.
    const refused = await fetch(server_url, { method: 'POST', headers: { origin: 'https://evil.example' }, body: '{}' });
    if (refused.status !== 403) throw new Error(`a foreign origin got ${refused.status}`);
    await shows('refusals', 'origin');

    if (faults.length > 0) throw new Error(faults.join('\n'));
    console.log('ok: status page');
} finally {
    await browser.close();
}
