"""Lists in pages, prompts, resources and completion."""

import lies_at_start

PAGE = 5
TOOLS = (
    "echo", "raw", "fails", "steps", "form", "page", "samples", "roots", "waits", "change", "seen", "lie", "die", "sleep",
    "environment", "noise", "grow", "spawn", "who",
)


def tool(server, name):
    entry = {
        "name": name, "description": f"The tool {name}",
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
    }
    if server.since("2025-03-26"):
        entry["annotations"] = {"readOnlyHint": name == "echo"}
    if server.since("2025-06-18"):
        entry["title"] = f"Tool {name}"
    return entry


def hints(server, result):
    """MCP 2026-07-28 caching: lists and resources say how long they hold."""
    return result | ({"ttlMs": 1000, "cacheScope": "private"} if server.is_modern else {})


def page(server, member, entries, params):
    start = int(params.get("cursor") or 0)
    result = {member: entries[start:start + PAGE]}
    if start + PAGE < len(entries):
        result["nextCursor"] = str(start + PAGE)
    return hints(server, result)


def list_tools(session, params, message, reply):
    server = session.server
    lied = lies_at_start.about_tools(session, params, message, reply)
    if lied is not None:
        return lied
    names = TOOLS + (("late",) if server.has_late else ())
    return page(server, "tools", [tool(server, name) for name in names], params)


def list_prompts(session, params, message, reply):
    greet = {"name": "greet", "description": "Greets", "arguments": [{"name": "text", "required": True}]}
    return page(session.server, "prompts", [greet] + [{"name": f"prompt{n}"} for n in range(6)], params)


def list_resources(session, params, message, reply):
    entries = [{"uri": f"note://{name}", "name": name, "mimeType": "text/plain"} for name in "abcdefg"]
    return page(session.server, "resources", entries, params)


def list_templates(session, params, message, reply):
    templates = [{"uriTemplate": "note://t/{id}", "name": "t"}]
    return hints(session.server, {"resourceTemplates": templates})


def read(session, params, message, reply):
    from server import Error

    uri = params["uri"]
    if not uri.startswith("note://") or uri == "note://none":
        # MCP 2026-07-28 resources: -32602; before: -32002.
        raise Error(-32602 if session.server.is_modern else -32002, "Resource not found", {"uri": uri})
    contents = [{"uri": uri, "mimeType": "text/plain", "text": uri.removeprefix("note://").upper()}]
    return hints(session.server, {"contents": contents})


def prompt(session, params, message, reply):
    text = f"Hello {params.get('arguments', {}).get('text')}"
    return {"messages": [{"role": "user", "content": {"type": "text", "text": text}}]}


def complete(session, params, message, reply):
    return {"completion": {"values": [params["argument"]["value"] + "!"], "total": 1, "hasMore": False}}


METHODS = {
    "tools/list": list_tools, "prompts/list": list_prompts, "resources/list": list_resources,
    "resources/templates/list": list_templates, "resources/read": read, "prompts/get": prompt,
    "completion/complete": complete,
}
