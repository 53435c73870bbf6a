"""A function app with one tool, one resource and one prompt."""

import logging

import azure.functions as func
from azure.functions.decorators.mcp import PromptArgument

app = func.FunctionApp()


@app.mcp_tool()
@app.mcp_tool_property(arg_name="name", description="Name of the person to greet")
def hello(name: str) -> str:
    """Greets a person."""
    logging.info("greeting %s", name)
    return f"Hello, {name}!"


@app.mcp_resource_trigger(
    arg_name="context", uri="hello://languages", resource_name="languages",
    description="Languages of greetings", mime_type="text/plain")
def languages(context) -> str:
    return "English"


@app.mcp_prompt_trigger(
    arg_name="context", prompt_name="greet", description="Asks for a greeting",
    prompt_arguments=[PromptArgument("name", "Name of the person", True)])
def greet(context: func.PromptInvocationContext) -> str:
    return f"Write a short and friendly greeting for {context.arguments['name']}."
