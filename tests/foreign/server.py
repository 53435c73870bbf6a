"""A server of the official Python package, of any generation, for tests of the client (see README.md)."""

import sys
from typing import Annotated

from pydantic import BaseModel

try:
    from mcp.server.fastmcp import Context, FastMCP as Server

    GENERATION = 1
except ImportError:
    from mcp.server.mcpserver import Context, Elicit, MCPServer as Server, Resolve

    GENERATION = 2


class Name(BaseModel):
    name: str


def make(port):
    place = {"host": "127.0.0.1", "port": port, "log_level": "ERROR"} if GENERATION == 1 else {"log_level": "ERROR"}
    server = Server("official", **place)

    @server.tool()
    def echo(text: str) -> str:
        """Repeats a text"""
        return text

    @server.tool()
    async def steps(count: int, ctx: Context) -> str:
        """Tells of its progress"""
        for step in range(1, count + 1):
            await ctx.report_progress(step, count)
        return "done"

    @server.resource("note://a")
    def note() -> str:
        """A note"""
        return "A"

    @server.prompt()
    def greet(name: str) -> str:
        """Greets"""
        return f"Hello {name}"

    if GENERATION == 2:

        def ask():
            return Elicit("Who are you?", Name)

        @server.tool()
        def asks(who: Annotated[Name, Resolve(ask)]) -> str:
            """Asks who the person is"""
            return f"You are {who.name}"

    elif hasattr(Context, "elicit"):

        @server.tool()
        async def asks(ctx: Context) -> str:
            """Asks who the person is"""
            result = await ctx.elicit("Who are you?", Name)
            return f"You are {result.data.name}"

    return server


def main(arguments):
    transport = arguments[0]
    port = int(arguments[1]) if len(arguments) > 1 else 0
    server = make(port)
    if GENERATION == 2 and transport != "stdio":
        server.run(transport, host="127.0.0.1", port=port)
    else:
        server.run(transport)


if __name__ == "__main__":
    main(sys.argv[1:])
