// A browser without windows: follows redirects with its cookies, and sends the forms that it is shown.

const decoded = text => text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => ({ amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" })[name]);

export class Browser {
    cookies = new Map();

    async fetch(url, options = {}) {
        const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
        const response = await fetch(url, { ...options, redirect: 'manual', headers: { ...options.headers, ...(cookie && { cookie }) } });
        for (const set of response.headers.getSetCookie()) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
            if (/max-age=0/i.test(set)) this.cookies.delete(name);
            else this.cookies.set(name, value);
        }
        return response;
    }

    /** Opens `url`, presses the first button of each form, and returns the first URL that begins with `target`. */
    async signIn(url, target) {
        let response = await this.fetch(url);
        for (let hops = 0; hops < 20; hops += 1) {
            const at = response.url || url;
            const location = response.headers.get('location');
            if (location !== null) {
                const next = new URL(location, at).href;
                if (next.startsWith(target)) return new URL(next);
                response = await this.fetch(next);
                continue;
            }
            const page = await response.text();
            if (response.status !== 200) throw new Error(`${at} answers ${response.status}: ${page}`);
            const action = /<form[^>]*\baction="([^"]*)"/.exec(page)?.[1] ?? '';
            response = await this.fetch(new URL(decoded(action), at), {
                method: 'POST',
                headers: { 'content-type': 'application/x-www-form-urlencoded' },
                body: this.fields(page),
            });
        }
        throw new Error('the redirects do not end');
    }

    /** What a browser sends when a person called ada presses the first button. */
    fields(page) {
        const fields = new URLSearchParams();
        for (const [input] of page.matchAll(/<input[^>]*>/g)) {
            const attribute = name => decoded(new RegExp(`\\b${name}="([^"]*)"`).exec(input)?.[1] ?? '');
            const isChoice = ['radio', 'checkbox'].includes(attribute('type'));
            if (!isChoice || /\bchecked\b/.test(input)) fields.append(attribute('name'), attribute('value') || 'ada');
        }
        const [button] = /<button[^>]*>/.exec(page);
        const attribute = name => new RegExp(`\\b${name}="([^"]*)"`).exec(button)?.[1];
        if (attribute('name')) fields.append(attribute('name'), attribute('value'));
        return fields;
    }
}
