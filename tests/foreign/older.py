"""Drives an MCP server with an official Python client of an older generation (1.x) and checks every answer (see README.md)."""

import json
import sys
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import anyio
from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from pydantic import AnyUrl

WATCHDOG_SECONDS = 60


class Mismatch(Exception):
    """The server behaved differently than expected."""


def check(holds, message):
    if not holds:
        raise Mismatch(message)


def text(result):
    return " ".join(block.text for block in result.content if block.type == "text")


async def answer_sample(_context, params):
    asked = params.messages[0].content.text
    content = types.TextContent(type="text", text=f"to {asked}")
    return types.CreateMessageResult(role="assistant", content=content, model="none")


async def answer_form(_context, _params):
    return types.ElicitResult(action="accept", content={"username": "u", "email": "e@x.example"})


async def answer_roots(_context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///home", name="home")])


@asynccontextmanager
async def connected(arguments):
    # Revision 2025-06-18 introduced elicitation.
    forms = {"elicitation_callback": answer_form} if hasattr(types, "ElicitResult") else {}
    callbacks = {"sampling_callback": answer_sample, "list_roots_callback": answer_roots, **forms}
    if arguments[0] == "http":
        # Revision 2025-03-26 introduced this transport.
        from mcp.client.streamable_http import streamablehttp_client

        transport = streamablehttp_client(arguments[1])
    else:
        transport = stdio_client(StdioServerParameters(command=arguments[2], args=arguments[3:]))
    async with transport as streams, ClientSession(streams[0], streams[1], **callbacks) as session:
        yield session


async def demo_tools(session):
    """Calls the program's own tools as the table says."""
    expected = json.loads(Path(__file__).with_name("expect.json").read_text(encoding="utf-8"))["host"]
    for call in expected["good"]:
        times = call.get("repeat", 1)
        arguments = dict(call["arguments"])
        if times > 1:
            arguments["text"] *= times
        result = await session.call_tool(call["tool"], arguments)
        check(not result.isError and text(result) == call["is"] * times, f"{call}: came {text(result)[:200]}")
    for call in expected["bad"]:
        result = await session.call_tool(call["tool"], call["arguments"])
        check(result.isError and call["names"] in text(result), f"{call}: came {text(result)[:200]}")
    try:
        came = await session.call_tool("no_such_tool", {})
        raise Mismatch(f"no_such_tool: came {came}")
    except McpError as error:
        check(error.error.code == -32602, f"no_such_tool: came {error.error}")


async def all_features(session):
    """Uses all features of the example that clients of this generation know."""
    result = await session.call_tool("test_error_handling", {})
    check(result.isError, f"test_error_handling: came {result}")
    told = []

    async def tell(progress, total, message=None):
        told.append(progress)

    await session.call_tool("test_tool_with_progress", {}, progress_callback=tell)
    check(told == sorted(told) and len(told) > 1, f"progress came as {told}")
    result = await session.call_tool("test_sampling", {"prompt": "p"})
    check("to p" in text(result), f"test_sampling: came {text(result)}")
    result = await session.call_tool("test_input_required_result_list_roots", {})
    check("file:///home" in text(result), f"roots: came {text(result)}")
    result = await session.call_tool("test_elicitation", {"message": "who?"})
    asked = hasattr(types, "ElicitResult")
    check(("e@x.example" in text(result)) == asked and result.isError != asked, f"test_elicitation: came {text(result)}")
    prompts = (await session.list_prompts()).prompts
    check(any(prompt.name == "test_simple_prompt" for prompt in prompts), f"prompts are {prompts}")
    await session.get_prompt("test_simple_prompt")
    resource = (await session.list_resources()).resources[0]
    contents = (await session.read_resource(AnyUrl(str(resource.uri)))).contents
    check(contents, f"{resource.uri}: nothing was read")
    await session.set_logging_level("warning")


async def drive(arguments):
    async with connected(arguments) as session:
        hello = await session.initialize()
        newest = types.LATEST_PROTOCOL_VERSION
        check(hello.protocolVersion == newest, f"negotiated {hello.protocolVersion} instead of {newest}")
        page = await session.list_tools()
        names = {tool.name for tool in page.tools}
        while page.nextCursor is not None:
            page = await session.list_tools(cursor=page.nextCursor)
            names |= {tool.name for tool in page.tools}
        if "echo" in names:
            await demo_tools(session)
        else:
            await all_features(session)
        await session.send_ping()
        return newest


def main():
    arguments = sys.argv[1:]
    title = f"python {version('mcp')} {arguments[0]}"

    async def watched():
        with anyio.fail_after(WATCHDOG_SECONDS):
            return await drive(arguments)

    try:
        revision = anyio.run(watched)
    except BaseException as error:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        print(f"failed {title}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"ok {title}: {revision}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
