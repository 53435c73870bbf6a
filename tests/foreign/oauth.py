"""Signs in to a protected MCP server as a user with a browser would, with the official Python client, calls a tool, refreshes the
token if there is a refresh token, and calls again (see README.md).

usage: oauth.py URL
"""

import sys
from html.parser import HTMLParser
from urllib.parse import parse_qs, urljoin, urlsplit

import anyio
import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

REDIRECT = "http://127.0.0.1:1/callback"


class Memory:
    """The client's token store."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Form(HTMLParser):
    """The first form of a page, as a browser sends it when a person presses the first button."""

    def __init__(self, page):
        super().__init__()
        self.action, self.fields, self.pressed = "", {}, False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        name, value = attributes.get("name"), attributes.get("value") or ""
        if tag == "form":
            self.action = attributes.get("action") or ""
        elif tag == "input" and (attributes.get("type") not in ("radio", "checkbox") or "checked" in attributes):
            self.fields[name] = value or "ada"
        elif tag == "button" and not self.pressed:
            self.pressed = True
            if name:
                self.fields[name] = value


class Browser:
    """Follows redirects with cookies, and sends the provider's forms."""

    url = None

    async def open(self, url):
        self.url = url

    async def sign_in(self):
        async with httpx2.AsyncClient() as http:
            response = await http.get(self.url)
            while True:
                if response.is_redirect:
                    target = urljoin(str(response.url), response.headers["location"])
                    if target.startswith(REDIRECT):
                        break
                    response = await http.get(target)
                elif response.status_code == 200:
                    form = Form(response.text)
                    response = await http.post(urljoin(str(response.url), form.action), data=form.fields)
                else:
                    raise RuntimeError(f"{response.url} answers {response.status_code}: {response.text[:300]}")
        query = parse_qs(urlsplit(target).query)
        return AuthorizationCodeResult(code=query["code"][0], state=query["state"][0], iss=query.get("iss", [None])[0])


async def main(url):
    memory, browser = Memory(), Browser()
    grants = ["authorization_code", "refresh_token"]
    metadata = OAuthClientMetadata(client_name="test", redirect_uris=[REDIRECT], grant_types=grants)
    auth = OAuthClientProvider(url, metadata, memory, browser.open, browser.sign_in)
    async with httpx2.AsyncClient(auth=auth) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            result = await client.call_tool("echo", {"text": "signed in"})
            assert result.content[0].text == "signed in", result
            if memory.tokens.refresh_token:
                first = memory.tokens
                # The client refreshes when it believes that the token has expired.
                auth.context.token_expiry_time = 1
                result = await client.call_tool("echo", {"text": "refreshed"})
                assert result.content[0].text == "refreshed", result
                assert memory.tokens.access_token != first.access_token
    assert memory.tokens.scope == "mcp.use", memory.tokens.scope
    # Without a token the server serves nothing, whatever the client was before.
    async with httpx2.AsyncClient() as http:
        refused = await http.post(url, json={}, headers={"content-type": "application/json"})
    assert refused.status_code == 401, refused.status_code
    print("ok signed in and called")


anyio.run(main, sys.argv[1])
