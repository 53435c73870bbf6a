"""The tools, resources and prompts of the public conformance suite that a function app can offer."""

import base64
import json
import logging
import time

import azure.functions as func
from azure.functions.decorators.mcp import PromptArgument

app = func.FunctionApp()

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WAV = base64.b64encode(b"RIFF\x26\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x02\x00\x00\x00\x00\x00").decode()
IMAGE = {"type": "image", "data": PNG, "mimeType": "image/png"}


def envelope(kind, content, structured=None):
    structured = None if structured is None else json.dumps(structured)
    return json.dumps({"type": kind, "content": json.dumps(content), "structuredContent": structured})


def tool(name, description, properties=(), rich=False, **keys):
    """A tool by the generic trigger, with each key as `function.json` has it."""
    return app.generic_trigger(
        arg_name="context", type="mcpToolTrigger", toolName=name, description=description,
        toolProperties=json.dumps(list(properties)), useResultSchema=rich, **keys)


@tool("test_simple_text", "One text")
def simple_text(context) -> str:
    return "This is a simple text response for testing."


@tool("test_image_content", "One image", rich=True)
def image_content(context) -> str:
    return envelope("image", IMAGE)


@tool("test_audio_content", "One sound", rich=True)
def audio_content(context) -> str:
    return envelope("audio", {"type": "audio", "data": WAV, "mimeType": "audio/wav"})


@tool("test_embedded_resource", "One embedded resource", rich=True)
def embedded_resource(context) -> str:
    resource = {"uri": "test://embedded-resource", "mimeType": "text/plain", "text": "This is an embedded resource content."}
    return envelope("resource", {"type": "resource", "resource": resource})


@tool("test_multiple_content_types", "A text, an image and a resource", rich=True)
def multiple_content_types(context) -> str:
    resource = {"uri": "test://mixed-content-resource", "mimeType": "application/json", "text": '{"test":"data","value":123}'}
    text = {"type": "text", "text": "Multiple content types test:"}
    return envelope("multi_content_result", [text, IMAGE, {"type": "resource", "resource": resource}])


@tool("test_error_handling", "Fails on purpose", rich=True)
def error_handling(context) -> str:
    text = {"type": "text", "text": "This tool intentionally returns an error for testing"}
    return envelope("call_tool_result", {"content": [text], "isError": True})


@app.mcp_tool()
def test_tool_with_progress() -> str:
    """Tells of its progress"""
    for progress in (0, 50, 100):
        logging.info("step", extra={"progress": progress, "total": 100})
        time.sleep(0.05)
    return "Done."


@app.mcp_tool()
def test_tool_with_logging() -> str:
    """Writes three messages to the client's log"""
    for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        logging.info(message)
        time.sleep(0.05)
    return "Logged."


@app.mcp_tool()
def test_logging_tool() -> str:
    """Writes to the client's log, if it wants that"""
    logging.info("Tool execution started")
    time.sleep(0.05)
    logging.info("Tool execution completed")
    return "Logged."


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object",
                          "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {
        "name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]}, "phone": {"type": "string"}, "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
REGION = {"type": "object", "properties": {"region": {"type": "string", "description": "where to run", "x-mcp-header": "Region"}}}


@tool("json_schema_2020_12_tool", "Lists a schema with many keywords", inputSchema=json.dumps(SCHEMA), useWorkerInputSchema=True)
def json_schema(context) -> str:
    return json.dumps(json.loads(context)["arguments"])


@tool("test_x_mcp_header", "Mirrors an argument in a header", inputSchema=json.dumps(REGION), useWorkerInputSchema=True)
def x_mcp_header(context) -> str:
    return "region: " + json.loads(context)["arguments"].get("region", "")


@app.mcp_resource_trigger(arg_name="context", uri="test://static-text", resource_name="static_text", title="Static text",
                          description="A text that never changes", mime_type="text/plain")
def static_text(context) -> str:
    return "This is the content of the static text resource."


@app.mcp_resource_trigger(arg_name="context", uri="test://static-binary", resource_name="static_binary",
                          description="An image that never changes", mime_type="image/png")
def static_binary(context) -> bytes:
    return base64.b64decode(PNG)


@app.mcp_resource_trigger(arg_name="context", uri="test://watched-resource", resource_name="watched",
                          description="A text to subscribe to", mime_type="text/plain")
def watched(context) -> str:
    return "Watch me."


@app.mcp_resource_trigger(arg_name="context", uri="test://template/{id}/data", resource_name="template",
                          description="Data by number", mime_type="application/json")
def template(context) -> str:
    number = json.loads(context)["uri"].split("/")[-2]
    return json.dumps({"id": number, "templateTest": True, "data": f"Data for ID: {number}"})


@app.mcp_prompt_trigger(arg_name="context", prompt_name="test_simple_prompt", description="No arguments")
def simple_prompt(context: func.PromptInvocationContext) -> str:
    return "This is a simple prompt for testing."


@app.mcp_prompt_trigger(arg_name="context", prompt_name="test_prompt_with_arguments", description="Two arguments",
                        prompt_arguments=[PromptArgument("arg1", "the first", True), PromptArgument("arg2", "the second", True)])
def prompt_with_arguments(context: func.PromptInvocationContext) -> str:
    return "Prompt with arguments: arg1='{arg1}', arg2='{arg2}'".format(**context.arguments)
