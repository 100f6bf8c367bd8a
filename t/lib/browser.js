// A headless browser that a test drives: a command a line on the standard input,
// an answer a line on the standard output, both JSON.  See Jelou/Browser.pm.

'use strict';

const path = require('path');
const readline = require('readline');

const modules = path.join(__dirname, '../../build/node_modules');
const { chromium } = require(path.join(modules, 'playwright-core'));

const seconds = 15;

let browser, page, origin, complaints = [];

const commands = {

    // a new page, with nothing remembered

    async open({ url, width, height, scheme, motion, scale }) {
        if (page) await page.context().close();

        origin = new URL(url).origin;
        complaints = [];

        const context = await browser.newContext({
            viewport: { width: width ?? 1280, height: height ?? 900 },
            colorScheme: scheme ?? 'light', reducedMotion: motion ?? null,
            deviceScaleFactor: scale ?? 1,
        });

        page = await context.newPage();
        page.setDefaultTimeout(1000 * seconds);

        page.on('console', m => /error|warning/.test(m.type())
                                && complaints.push(`console: ${m.text()}`));
        page.on('pageerror', e => complaints.push(`error: ${e.message}`));
        page.on('request', r => /^data:/.test(r.url())
                                || new URL(r.url()).origin === origin
                                || complaints.push(`request: ${r.url()}`));

        await page.goto(url);
    },

    // the value of an expression

    async get({ of }) { return page.evaluate(of); },

    // waits until an expression is true; Playwright's own function for it wants
    // to evaluate strings inside of the page, which a page may forbid

    async wait({ for: of }) {
        const until = Date.now() + 1000 * seconds;

        while (!await page.evaluate(of)) {
            if (Date.now() > until) throw new Error(`in vain: ${of}`);
            await new Promise(done => setTimeout(done, 50));
        }
    },

    async press({ key }) { await page.keyboard.press(key); },

    async focus({ on }) { await page.focus(on); },

    async click({ on }) { await page.click(on); },

    async picture({ file, whole }) {
        await page.screenshot({ path: file, fullPage: whole ?? true });
    },

    // what the browser complained of since the page was opened, and requests
    // to others; forgotten then

    async complaints() { return complaints.splice(0); },
};

async function main() {
    browser = await chromium.launch({
        executablePath: '/usr/bin/chromium',
        args: process.getuid() === 0 ? ['--no-sandbox'] : [],
        timeout: 1000 * 2 * seconds,
    });

    for await (const line of readline.createInterface({ input: process.stdin })) {
        const command = JSON.parse(line);
        let answer;

        try {
            answer = { value: await commands[command.do](command) ?? null };
        } catch (error) {
            answer = { error: error.message };
        }

        process.stdout.write(JSON.stringify(answer) + '\n');
    }

    await browser.close();
}

main().catch(error => {
    process.stdout.write(JSON.stringify({ error: error.message }) + '\n');
    process.exit(1);
});
