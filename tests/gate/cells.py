"""Each revision of the client, with each revision and transport of the server: what crosses the gate."""

import json
import time

from client import Failed, Refused, words
from scene import Row, Scene

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
A, B, C, D, E = REVISIONS
TOOLS = {"echo", "raw", "fails", "steps", "form", "page", "samples", "roots", "waits", "change", "seen", "who"}


def demand(holds, what):
    if not holds:
        raise Failed(what)


def lists(client, cell):
    tools = client.list("tools/list", "tools")
    missing = TOOLS - {tool["name"] for tool in tools}
    demand(not missing, f"tools are missing: {sorted(missing)}")
    echo = next(tool for tool in tools if tool["name"] == "echo")
    demand(echo["inputSchema"]["properties"] == {"text": {"type": "string"}}, f"the schema of echo: {echo}")
    if cell.both_since(C):
        demand(echo.get("title") == "Tool echo", "the title of echo is lost")
    demand(len(client.list("prompts/list", "prompts")) == 7, "prompts are missing")
    uris = [resource["uri"] for resource in client.list("resources/list", "resources")]
    demand(uris == [f"note://{name}" for name in "abcdefg"], f"resources: {uris}")
    templates = client.list("resources/templates/list", "resourceTemplates")
    demand([template["uriTemplate"] for template in templates] == ["note://t/{id}"], f"templates: {templates}")


def call(client, cell):
    text = client.text("echo", "Z\u00fcrich \u20ac\n\"\U0001f600")
    demand(text == "Z\u00fcrich \u20ac\n\"\U0001f600", f"the text arrives as {text!r}")


def unchanged(client, cell):
    client.call("raw")
    for part in ('"x":[1.50]', '"n":1E2', "12345678901234567890"):
        demand(part in client.raw.replace(": ", ":"), f"{part} arrives in another form: {client.raw[:200]}")


def many(client, cell):
    """Eight calls at once."""
    calls = [client.start("tools/call", {"name": "echo", "arguments": {"text": str(n)}}) for n in range(8)]
    answers, texts = {call.id: call for call in calls}, []
    while answers:
        heard = client.next(time.monotonic() + client.timeout)
        if heard.message and heard.message.get("id") in answers:
            call = answers.pop(heard.message["id"])
            texts.append(words(heard.message["result"]) == call.params["arguments"]["text"])
    demand(all(texts), "answers go to other calls")


def errors(client, cell):
    failed = client.call("fails")
    demand(failed.get("isError") is True and words(failed) == "no luck", f"the failure of a tool arrives as {failed}")
    try:
        result = client.call("nothing")
    except Refused as error:
        demand(error.code == -32602, f"an unknown tool is {error}")
    else:
        raise Failed(f"a tool that does not exist has a result: {result}")


def prompt(client, cell):
    got = client.request("prompts/get", {"name": "greet", "arguments": {"text": "you"}})
    demand(got["messages"][0]["content"]["text"] == "Hello you", f"{got}")


def read(client, cell):
    for uri, text in (("note://a", "A"), ("note://t/7", "T/7")):
        contents = client.request("resources/read", {"uri": uri})["contents"][0]
        demand((contents["uri"], contents["text"]) == (uri, text), f"{uri} is {contents}")
    try:
        client.request("resources/read", {"uri": "note://none"})
    except Refused as error:
        # MCP 2026-07-28 resources: -32602, never -32002.
        demand(error.code == (-32602 if client.is_modern else -32002), f"a resource that does not exist is {error}")
    else:
        raise Failed("a resource that does not exist is read")


def complete(client, cell):
    params = {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "text", "value": "abc"}}
    values = client.request("completion/complete", params)["completion"]["values"]
    demand(values == ["abc!"], f"{values}")


def steps(client, token=None, level=None):
    call = client.start("tools/call", {"name": "steps", "arguments": {}}, token=token, level=level)
    demand(words(client.finish(call)) == "done", "another result")
    return call


def progress(client, cell):
    for token in (7, "seven"):
        told = steps(client, token).of("notifications/progress")
        demand([step.get("progressToken") for step in told] == [token, token], f"progress: {told}")
        demand([(step["progress"], step["total"]) for step in told] == [(1, 2), (2, 2)], f"progress: {told}")
        # MCP 2024-11-05 has no message of progress.
        demand(told[0].get("message") == ("half" if cell.both_since(B) else None), f"progress: {told}")


def log(client, cell):
    if not client.is_modern:
        client.request("logging/setLevel", {"level": "info"})
    told = steps(client, level="info").of("notifications/message")
    demand([(entry["level"], entry["data"]) for entry in told] == [("warning", "halfway")], f"log: {told}")


def cancel(client, cell):
    began, ended = len(cell.stage.journal("waits")), len(cell.stage.journal("cancelled"))
    call = client.start("tools/call", {"name": "waits", "arguments": {}})
    cell.stage.until("the call does not reach the server", lambda: len(cell.stage.journal("waits")) > began)
    client.cancel(call)
    cell.stage.until("the call goes on at the server", lambda: len(cell.stage.journal("cancelled")) > ended)
    demand(client.text("echo", "next") == "next", "the next call fails")


def changed(client, cell):
    client.listen(toolsListChanged=True)
    has_late = client.text("change", "list") == "late"
    demand(client.hears("notifications/tools/list_changed", client.timeout), "no notice that the list has changed")
    cell.stage.until("the list is the old one", lambda: ("late" in client.tools()) == has_late)


def updated(client, cell):
    client.listen(resourceSubscriptions=["note://a"])
    # A gate may subscribe at the server a moment after its client has done so.
    for _ in range(20):
        client.text("change", "resource")
        if client.hears("notifications/resources/updated", 0.2):
            return
    raise Failed("no notice that the resource has changed")


def answer_with(action="accept"):
    def answer(method, params):
        if method == "elicitation/create":
            return {"action": action} | ({"content": {"name": "Ann"}} if action == "accept" else {})
        if method == "sampling/createMessage":
            return {"role": "assistant", "model": "m", "content": {"type": "text", "text": "hi"}}
        return {"roots": [{"uri": "file:///home", "name": "home"}]}

    return answer


def asks(tool, since, expected, action="accept"):
    """A question crosses if both revisions have it. Else the server learns that the client cannot be asked."""

    def run(client, cell):
        call = client.start("tools/call", {"name": tool, "arguments": {}})
        try:
            result = client.finish(call, answer_with(action))
        except Refused as error:
            demand(not cell.both_since(since), f"{tool}: {error}")
            return
        if not cell.both_since(since):
            demand(result.get("isError") is True and not call.asked, f"a client that cannot be asked: {result}")
            return
        demand(len(call.asked) == 1, f"asked {len(call.asked)} times: {str(result)[:150]}")
        demand(words(result) == expected, f"the server gets {words(result)!r}")

    return run


def mute(client, cell):
    """A client that declares nothing is not asked."""
    call = client.start("tools/call", {"name": "samples", "arguments": {}})
    try:
        result = client.finish(call, answer_with())
    except Refused:
        pass
    else:
        demand(result.get("isError") is True, f"an answer that was not given: {result}")
    demand(not call.asked, "the client is asked")
    if cell.up == E:
        declared = json.loads(client.text("seen"))["io.modelcontextprotocol/clientCapabilities"]
        demand(declared == {}, f"the server is told that the client can be asked: {declared}")


def meta(client, cell):
    """Keys of applications cross the gate, and those that the protocol reserves do not."""
    own = {"com.example/own": [1, "two"], "dev.mcp/reserved": 1, "io.modelcontextprotocol/other": 2}
    seen = json.loads(client.text("seen", meta=own))
    demand(seen.get("com.example/own") == [1, "two"], f"a key of the application is lost: {seen}")
    reserved = {"dev.mcp/reserved", "io.modelcontextprotocol/other"} & seen.keys()
    demand(not reserved, f"reserved keys cross: {seen}")


OPERATIONS = {
    "lists in pages": lists, "call": call, "result unchanged": unchanged, "eight calls at once": many, "errors": errors,
    "prompt": prompt, "read": read, "complete": complete, "progress": progress, "log": log, "cancel": cancel,
    "list changed": changed, "resource updated": updated, "keys of _meta": meta,
    "form": asks("form", C, "accept Ann"), "form declined": asks("form", C, "decline None", "decline"),
    "page": asks("page", D, "accept"), "sampling": asks("samples", A, "hi"), "roots": asks("roots", A, "file:///home"),
    "client that cannot be asked": mute,
}


class Cell:
    def __init__(self, stage, down):
        self.stage, self.down, self.up = stage, down, stage.scene.revision

    def both_since(self, revision):
        return self.down >= revision and self.up >= revision


def row(down, name, operation):
    def run(stage):
        operation(stage.client(down, {} if operation is mute else None), Cell(stage, down))

    return Row(f"client {down}: {name}", run)


def scenes():
    for over in ("stdio", "http", "sse"):
        # The old transport with a separate stream is not one of 2026-07-28.
        for up in REVISIONS[:-1] if over == "sse" else REVISIONS:
            rows = [row(down, name, operation) for down in REVISIONS for name, operation in OPERATIONS.items()]
            yield Scene("cells", f"server {up} over {over}", rows, up, over)
