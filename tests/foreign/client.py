"""Drives an MCP server with the official Python client and checks every answer (see README.md)."""

import argparse
import faulthandler
import json
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import PROCESS_TERMINATION_TIMEOUT
from mcp_types import DiscoverResult

VERSIONS = {"modern": "2026-07-28", "legacy": "2025-11-25"}
INVALID_PARAMS = -32602
WATCHDOG_SECONDS = 60


class Mismatch(Exception):
    """The server behaved differently than expected."""


def check(holds, message):
    if not holds:
        raise Mismatch(message)


def describe(call):
    text = f"{call['tool']} {json.dumps(call['arguments'], ensure_ascii=False)}"
    return text if len(text) < 200 else text[:200] + "…"


class Run:
    """One pass over the table of expectations; `step` names the current step for error messages."""

    def __init__(self, era, expected):
        self.era = era
        self.expected = expected
        self.step = "connect"
        self.calls = 0
        self.unreadable = []

    async def on_message(self, message):
        # The SDK passes a message that it cannot parse to this handler, and would otherwise only
        # log it.
        if isinstance(message, Exception):
            self.unreadable.append(message)

    async def drive(self, server):
        mode = "legacy" if self.era == "legacy" else VERSIONS["modern"]
        async with Client(server, mode=mode, message_handler=self.on_message) as client:
            await self.negotiate(client)
            await self.list_tools(client)
            self.step = "good calls"
            for call in self.expected["good"]:
                await self.good_call(client, call)
            self.step = "bad calls"
            for call in self.expected["bad"]:
                await self.bad_call(client, call)
            await self.unknown_tool(client)
            self.step = "calls at once"
            async with anyio.create_task_group() as group:
                for call in self.expected["together"]:
                    group.start_soon(self.good_call, client, call)
            if self.era == "legacy":
                self.step = "ping"
                await client.session.send_ping()
            self.step = "close"
            closing = time.monotonic()
        took = time.monotonic() - closing
        # This SDK kills a child that still runs after its grace period, so a server that needs
        # longer would never end by itself.
        if isinstance(server, StdioServerParameters):
            check(took < PROCESS_TERMINATION_TIMEOUT, f"server did not exit within {took:.1f} s after its stdin closed")
        check(not self.unreadable, f"unreadable messages came: {self.unreadable}")

    async def negotiate(self, client):
        if self.era == "modern":
            # A pinned version rules out the fallback of mode="auto" to initialize, but sends the
            # server nothing.
            answer = await client.session.send_discover(VERSIONS["modern"])
            client.session.adopt(DiscoverResult.model_validate(answer))
        got = client.protocol_version
        check(got == VERSIONS[self.era], f"negotiated {got} instead of {VERSIONS[self.era]}")
        check(client.server_info is not None and client.server_info.name, "serverInfo has no name")
        check(client.server_capabilities.tools is not None, "no tools capability")

    async def list_tools(self, client):
        self.step = "list tools"
        page = await client.list_tools()
        tools = page.tools
        while page.next_cursor is not None:
            page = await client.list_tools(cursor=page.next_cursor)
            tools += page.tools
        names = sorted(tool.name for tool in tools)
        check(names == self.expected["tools"], f"tools are {names} instead of {self.expected['tools']}")
        for tool in tools:
            check(tool.description, f"tool {tool.name} has no description")
            check(tool.input_schema.get("type") == "object", f"inputSchema of {tool.name} is not of type object")

    async def call(self, client, name, arguments):
        self.calls += 1
        return await client.call_tool(name, arguments)

    async def good_call(self, client, call):
        result = await self.call(client, call["tool"], call["arguments"])
        blocks = [block.model_dump(by_alias=True, exclude_none=True) for block in result.content]
        came = f"{describe(call)}: came {json.dumps(blocks, ensure_ascii=False)[:400]}"
        check(not result.is_error, f"{came} with isError")
        check(len(blocks) == 1 and blocks[0]["type"] == "text", f"{came} instead of one text block")
        text = blocks[0]["text"]
        if "is" in call:
            check(text == call["is"], f"{came} instead of {json.dumps(call['is'], ensure_ascii=False)[:400]}")
        else:
            check(re.search(call["matches"], text), f"{came}, which does not match {call['matches']}")

    async def bad_call(self, client, call):
        try:
            result = await self.call(client, call["tool"], call["arguments"])
        except MCPError as error:
            raise Mismatch(f"{describe(call)}: came protocol error {error.code} ({error}) instead of a result")
        text = " ".join(block.text for block in result.content if block.type == "text")
        check(result.is_error, f"{describe(call)}: came {text!r} without isError")
        named = re.search(rf"(?<!\w){call['names']}(?!\w)", text)
        check(named, f"{describe(call)}: {text!r} does not name the argument {call['names']}")

    async def unknown_tool(self, client):
        self.step = "unknown tool"
        try:
            result = await self.call(client, "no_such_tool", {})
        except MCPError as error:
            check(error.code == INVALID_PARAMS, f"came error {error.code} ({error}) instead of {INVALID_PARAMS}")
        else:
            raise Mismatch(f"came a result instead of error {INVALID_PARAMS}: {result}")


def leaves(error):
    """Unwraps the exceptions that the task groups of the SDK put around an error."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


def load_expected(which):
    expected = json.loads(Path(__file__).with_name("expect.json").read_text(encoding="utf-8"))[which]
    for call in expected["good"]:
        times = call.get("repeat", 1)
        if times > 1:
            call["arguments"]["text"] *= times
            call["is"] *= times
    return expected


def parse_arguments(argv):
    # Everything after "--" is the server's own command line, which argparse must not see.
    split = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(usage="%(prog)s --era ERA [--expect TABLE] (http URL | stdio -- COMMAND ARGS...)")
    parser.add_argument("--era", choices=VERSIONS, required=True)
    parser.add_argument("--expect", choices=["host", "device"], default="host")
    parser.add_argument("transport", choices=["http", "stdio"])
    parser.add_argument("url", nargs="?")
    arguments = parser.parse_args(argv[:split])
    command = argv[split + 1 :]
    http = arguments.transport == "http"
    if http != (arguments.url is not None) or http == bool(command):
        parser.error("http needs a URL, stdio needs a command behind --")
    arguments.server = arguments.url or StdioServerParameters(command=command[0], args=command[1:])
    return arguments


def main():
    arguments = parse_arguments(sys.argv[1:])
    run = Run(arguments.era, load_expected(arguments.expect))
    title = f"python {version('mcp')} {arguments.era} {arguments.transport}"

    async def watched():
        with anyio.move_on_after(WATCHDOG_SECONDS) as scope:
            await run.drive(arguments.server)
        check(not scope.cancelled_caught, f"no end after {WATCHDOG_SECONDS} s")

    # The timeout above lets the SDK stop its child process first; this one ends a hang of that stop
    # too.
    faulthandler.dump_traceback_later(WATCHDOG_SECONDS + 10, exit=True)
    try:
        anyio.run(watched)
    except Exception as error:
        for leaf in leaves(error):
            code = f" {leaf.code}" if isinstance(leaf, MCPError) else ""
            what = "" if isinstance(leaf, Mismatch) else f"{type(leaf).__name__}{code}: "
            print(f"failed {title}, {run.step}: {what}{leaf}", file=sys.stderr)
        return 1
    print(f"ok {title}: {len(run.expected['tools'])} tools, {run.calls} calls")
    return 0


if __name__ == "__main__":
    sys.exit(main())
