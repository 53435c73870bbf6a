"""What a client of each revision must and must not send. Every breach is written to the journal."""

import base64

META = "io.modelcontextprotocol/"
NAMES = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
CAPABILITIES = {
    "tools": "tools", "prompts": "prompts", "resources": "resources", "logging": "logging", "completion": "completions",
}
FIRST_COMPLETIONS = ("completions", "2024-11-05")
LEGACY_ONLY = ("initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe")


def breach(session, text):
    session.server.journal.write("breach", text)


def request(session, message, reply):
    """Checks a request and its headers."""
    method, params = message["method"], message.get("params") or {}
    id = message["id"]
    if not isinstance(id, (int, str)) or isinstance(id, bool):
        breach(session, f"{method}: the id {id!r}")
    # MCP 2026-07-28 basic: an id must not be in flight; before: "MUST NOT have been previously used".
    if id in (session.running if session.server.is_modern else session.ids):
        breach(session, f"{method}: the id {id!r} again")
    session.ids.add(id)
    # MCP 2025-11-25 lifecycle, "Operation": "Only use capabilities that were successfully negotiated". 2024-11-05 has
    # completions without a capability.
    capability = CAPABILITIES.get(method.split("/")[0])
    is_declared = capability is None or capability in session.server.capabilities()
    if not is_declared and (capability, session.server.revision) != FIRST_COMPLETIONS:
        breach(session, f"{method}: the server has not declared {capability}")
    (modern if session.server.is_modern else legacy)(session, method, params, reply.headers)
    if reply.headers is not None:
        accept = reply.headers.get("accept", "")
        if session.server.over == "http" and not all(kind in accept for kind in ("application/json", "text/event-stream")):
            breach(session, f"{method}: Accept is {accept!r}")


def modern(session, method, params, headers):
    meta = params.get("_meta") or {}
    if method == "initialize":
        return
    if meta.get(META + "protocolVersion") != session.server.revision:
        breach(session, f"{method}: protocolVersion is {meta.get(META + 'protocolVersion')!r}")
    if not isinstance(meta.get(META + "clientCapabilities"), dict):
        breach(session, f"{method}: no clientCapabilities")
    if method in LEGACY_ONLY:
        breach(session, f"{method} does not exist in 2026-07-28")
    if headers is None:
        return
    expected = {"mcp-protocol-version": session.server.revision, "mcp-method": method}
    if method in NAMES:
        expected["mcp-name"] = params.get(NAMES[method])
    for name, value in expected.items():
        if decoded(headers.get(name)) != value:
            breach(session, f"{method}: the header {name} is {headers.get(name)!r}")
    for name in ("mcp-session-id", "last-event-id"):
        if name in headers:
            breach(session, f"{method}: the header {name}")


def decoded(value):
    """MCP 2026-07-28 streamable-http: a value that a header cannot carry is sent in Base64."""
    if value is not None and value.startswith("=?base64?") and value.endswith("?="):
        return base64.b64decode(value[9:-2]).decode()
    return value


def legacy(session, method, params, headers):
    probes = method == "server/discover" and session.phase == "new"
    if method == "initialize":
        if session.phase != "new":
            breach(session, "initialize twice")
        if headers and ("mcp-session-id" in headers or "mcp-protocol-version" in headers):
            breach(session, "initialize with a session or a version in its headers")
        return
    if probes or method == "ping":
        return
    # MCP 2024-11-05 lifecycle: requests come after notifications/initialized.
    if session.phase != "open":
        breach(session, f"{method} before notifications/initialized")
    if method in ("server/discover", "subscriptions/listen"):
        breach(session, f"{method} in a session of {session.server.revision}")
    if any(key.startswith(META) for key in params.get("_meta") or {}):
        breach(session, f"{method}: a key of 2026-07-28 in _meta")
    for key in ("inputResponses", "requestState"):
        if key in params:
            breach(session, f"{method}: {key} in a session of {session.server.revision}")
    if headers is not None and session.server.over == "http":
        version = headers.get("mcp-protocol-version")
        if session.server.since("2025-06-18") and version != session.server.revision:
            breach(session, f"{method}: the header mcp-protocol-version is {version!r}")
        for name in ("mcp-method", "mcp-name"):
            if name in headers:
                breach(session, f"{method}: the header {name}")


def notification(session, message):
    method = message["method"]
    known = {"notifications/cancelled", "notifications/progress"}
    if not session.server.is_modern:
        known |= {"notifications/initialized", "notifications/roots/list_changed"}
    if method not in known:
        breach(session, f"{method} in {session.server.revision}")
    # MCP 2026-07-28 streamable-http: a client cancels by closing the stream.
    if session.server.is_modern and session.server.over == "http":
        breach(session, f"{method} over HTTP")
