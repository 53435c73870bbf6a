// Opens the page of an authorization request as a person would, presses the first button of each form, and goes back to the client
// (see README.md).
//
// usage: visit.mjs PAGE

import { Browser } from './browser.mjs';

const page = process.argv[2];
const callback = await new Browser().signIn(page, new URL(page).searchParams.get('redirect_uri'));
const response = await fetch(callback);
if (response.status !== 200) throw new Error(`${callback} answers ${response.status}: ${await response.text()}`);
