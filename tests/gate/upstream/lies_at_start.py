"""Lies of the server in the handshake and in lists of tools. `--lie NAME` chooses one."""

import os
import time

from lies import BOTH, LEGACY, MODERN, notice

# Transports and eras in which the lie exists.
HANDSHAKES = {
    "no hints": ("stdio http", MODERN), "notices before the answer": ("stdio", BOTH), "slow start": ("stdio http sse", BOTH),
    "refuses other versions": ("stdio http sse", LEGACY), "exits at the probe": ("stdio", LEGACY),
    "silent at the probe": ("stdio", LEGACY), "banner": ("stdio", BOTH), "unknown capabilities": ("stdio http sse", BOTH),
}


def about_handshake(session, message, reply):
    """Lies about the handshake. Returns whether the request is answered, or needs no answer."""
    from server import META, Error, dump

    name, method, params = session.server.lie, message["method"], message.get("params") or {}
    if method not in ("server/discover", "initialize"):
        return False
    if name == "exits at the probe" and method == "server/discover":
        os._exit(1)
    if name == "silent at the probe":
        return method == "server/discover"
    if name == "slow start":
        time.sleep(1.5)
    if name in ("notices before the answer", "banner"):
        early = notice("notifications/message", '{"level":"info","data":"hello"}') if "notices" in name else "Server 1.0 ready"
        reply.send(early)
    if name == "refuses other versions" and method == "initialize" and params["protocolVersion"] != session.server.revision:
        supported = {"supported": [session.server.revision], "requested": params["protocolVersion"]}
        raise Error(-32602, "Unsupported protocol version", supported)
    if name == "no hints" and method == "server/discover":
        bare = {"supportedVersions": [session.server.revision], "capabilities": session.server.capabilities()}
        session.respond(message, dump(bare), reply)
        return True
    if name == "unknown capabilities":
        session.server.capabilities = lambda: {"tools": {}, "surprise": {"x": [1]}, "tasks": {"list": {}}}
    return False


CYCLE = {
    "type": "object", "properties": {"n": {"$ref": "#/$defs/n"}},
    "$defs": {"n": {"$ref": "#/$defs/m"}, "m": {"$ref": "#/$defs/n"}},
}


def about_tools(session, params, message, reply):
    """Lies about the tools. Returns nothing if the list is to be true."""
    from lists import hints, tool
    from server import Error

    server, name = session.server, session.server.lie
    echo = tool(server, "echo")
    plain = {"name": "plain", "inputSchema": {"type": "object"}}

    def listed(*entries, **members):
        return hints(server, {"tools": [*entries], **members})

    if name == "pages for ever":
        page = next(server.pages)
        return listed({**plain, "name": f"t{page}"}, nextCursor=str(page))
    if name == "the same page for ever":
        return listed(echo, nextCursor="again")
    if name == "cursor of null":
        return listed(echo, nextCursor=None)
    if name == "empty cursor":
        return listed({**echo, "name": "who"}) if params.get("cursor") == "" else listed(echo, nextCursor="")
    if name == "cycle of schemas":
        return listed(echo, {**echo, "name": "who", "inputSchema": CYCLE})
    if name == "schema elsewhere":
        return listed(echo, {**echo, "name": "who", "inputSchema": {"type": "object", "$ref": "http://192.0.2.1/s"}})
    if name == "deep schema":
        return deep(session, message, reply)
    if name == "names that clash":
        return listed(echo, {**echo, "description": "another"}, echo)
    if name == "entries that are none":
        return listed(echo, None, [], 7, {}, {"name": 7}, {"name": "who"}, {"inputSchema": {}}, {**plain, "inputSchema": "x"})
    if name == "5,000 tools":
        return listed(echo, *({**plain, "name": f"t{n}"} for n in range(4999)))
    if name == "tools that are a text":
        return hints(server, {"tools": "echo"})
    if name == "list that is an error":
        raise Error(-32603, "no list today")
    return None


def deep(session, message, reply):
    from lists import hints, tool
    from server import dump

    true = dump(hints(session.server, {"resultType": "complete", "tools": [tool(session.server, "echo")]}))
    nested = '{"name":"who","inputSchema":{"type":"object","x":%s1%s}}' % ("[" * 2000, "]" * 2000)
    return true.replace('"tools":[', '"tools":[' + nested + ",")
