"""Signs in to a protected MCP server as a user with a browser would, with the official Python client, and calls a tool (see README.md).

usage: oauth.py URL
"""

import sys
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


class Browser:
    """Follows redirects and fills in the provider's forms."""

    url = None

    async def open(self, url):
        self.url = url

    async def sign_in(self):
        async with httpx2.AsyncClient() as http:
            response = await http.get(self.url)
            forms = iter([{"prompt": "login", "login": "ada", "password": "any"}, {"prompt": "consent"}])
            while True:
                if response.is_redirect:
                    target = urljoin(str(response.url), response.headers["location"])
                    if target.startswith(REDIRECT):
                        break
                    response = await http.get(target)
                elif response.status_code == 200:
                    response = await http.post(str(response.url), data=next(forms))
                else:
                    raise RuntimeError(f"{response.url} answers {response.status_code}: {response.text[:300]}")
        query = parse_qs(urlsplit(target).query)
        return AuthorizationCodeResult(code=query["code"][0], state=query["state"][0], iss=query.get("iss", [None])[0])


async def main(url):
    memory, browser = Memory(), Browser()
    metadata = OAuthClientMetadata(client_name="test", redirect_uris=[REDIRECT], grant_types=["authorization_code"])
    auth = OAuthClientProvider(url, metadata, memory, browser.open, browser.sign_in)
    async with httpx2.AsyncClient(auth=auth) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            result = await client.call_tool("echo", {"text": "signed in"})
            assert result.content[0].text == "signed in", result
    assert memory.tokens.scope == "mcp.use", memory.tokens.scope
    # Without a token the server serves nothing, whatever the client was before.
    async with httpx2.AsyncClient() as http:
        refused = await http.post(url, json={}, headers={"content-type": "application/json"})
    assert refused.status_code == 401, refused.status_code
    print("ok signed in and called")


anyio.run(main, sys.argv[1])
