"""Uses the app of this directory with an official Python client (1.x), over HTTP: client.py URL

A URL that ends in /sse is that of the transport of revision 2024-11-05.
"""

import sys

import anyio
from mcp import ClientSession, McpError
from mcp.client.sse import sse_client
from pydantic import AnyUrl


def check(holds, message):
    if not holds:
        raise AssertionError(message)


def connect(url):
    if url.endswith("/sse"):
        return sse_client(url)
    # The oldest package does not have it.
    from mcp.client.streamable_http import streamablehttp_client
    return streamablehttp_client(url)


async def drive(url):
    with anyio.fail_after(60):
        async with connect(url) as streams, ClientSession(streams[0], streams[1]) as session:
            hello = await session.initialize()
            check(hello.serverInfo.name == "suite", hello)
            tools = {tool.name for tool in (await session.list_tools()).tools}
            check("test_simple_text" in tools, tools)
            result = await session.call_tool("test_simple_text", {})
            check(result.content[0].text == "This is a simple text response for testing.", result)
            result = await session.call_tool("test_multiple_content_types", {})
            check([block.type for block in result.content] == ["text", "image", "resource"], result)
            check((await session.call_tool("test_error_handling", {})).isError, "test_error_handling")
            read = (await session.read_resource(AnyUrl("test://template/7/data"))).contents
            check('"7"' in read[0].text, read)
            prompt = await session.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
            check("arg1='a', arg2='b'" in prompt.messages[0].content.text, prompt)
            try:
                await session.get_prompt("test_prompt_with_arguments", {"arg1": "a"})
                check(False, "a missing argument was accepted")
            except McpError as error:
                check(error.error.code == -32602 and "arg2" in error.error.message, error.error)
            await session.send_ping()


anyio.run(drive, sys.argv[1])
