//! The JSON Schema of `[[server.backend]]`, for editors.

use serde_json::{Value, json};

/// The schema of the tables.
pub(in crate::config) fn schema() -> Value {
    json!({
        "type": "array",
        "description": "Other servers and directories whose tools, prompts and resources this one offers",
        "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["name"],
            "properties": properties(),
        },
    })
}

fn properties() -> Value {
    let mut properties = places();
    for (name, property) in children().as_object().into_iter().flatten() {
        properties[name] = property.clone();
    }
    properties
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn places() -> Value {
    json!({
        "name": text("Name for people and the log"),
        "command": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Program and arguments of a server on standard input and output; with url, of a server that serves HTTP there",
        },
        "url": text("URL of a server; with command, {port} in both is a free port"),
        "transport": {"enum": ["http", "sse"], "description": "sse: the HTTP transport of revision 2024-11-05", "default": "http"},
        "tools_dir": text("Directory of executables with description files, each a tool"),
        "prompts_dir": text("Directory of Markdown files, each a prompt"),
        "resources_dir": text("Directory of files, each a resource"),
        "prefix": text("Put before the names of its tools and prompts"),
        "env": environment("Variables of the child: values by name, or names of variables to pass on"),
        "cwd": text("Working directory of the child"),
        "token_file": text("File with the access token that is sent to url"),
        "auth": auth(),
        "plain_http": {"type": "boolean", "description": "Let the token travel unencrypted to another machine", "default": false},
        "revision": text("The only revision of MCP to speak with it; unset: the newest that both sides speak"),
        "when_down": {
            "enum": ["hide", "fail"],
            "description": "While the server is down, its entries leave the lists (hide), or stay there and fail (fail)",
            "default": "hide",
        },
    })
}

fn auth() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["kind", "issuer", "client_id"],
        "properties": {
            "kind": {
                "enum": ["client-credentials", "exchange", "on-behalf-of"],
                "description": "As this server itself, or on behalf of the caller: token exchange (RFC 8693), or on-behalf-of of Entra ID",
            },
            "issuer": text("URL of the issuer of the tokens"),
            "token_endpoint": text("URL of its token endpoint; unset: from its metadata"),
            "client_id": text("Id of this server at the issuer"),
            "client_secret_file": text("File with the secret of this server at the issuer"),
            "scopes": {"type": "array", "items": {"type": "string"}, "description": "Scopes to request"},
            "resource": text("The resource that tokens are for; unset: url"),
            "audience": text("Name of the resource at the issuer, for token exchange"),
            "lists": {
                "enum": ["client-credentials", "anonymous"],
                "description": "Fetch the lists with a token of this server, or without one; token_file comes first",
                "default": "client-credentials",
            },
        },
        "description": "Tokens for the calls to url; the token of the caller is never passed on",
    })
}

fn environment(description: &str) -> Value {
    json!({
        "type": ["object", "array"],
        "items": {"type": "string"},
        "additionalProperties": {"type": "string"},
        "description": description,
    })
}

fn children() -> Value {
    let time =
        |description: &str| json!({"type": "string", "pattern": "^[0-9]+(ms|s|min|m|h)$", "description": description});
    let count = |description: &str| json!({"type": "integer", "minimum": 1, "description": description});
    json!({
        "per": {
            "enum": ["process", "session", "caller"],
            "description": "One child for all calls, for each session of a client, or for each caller; unset: one for all, but a known \
                caller that can be asked questions has its own",
        },
        "callers": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": false,
                "required": ["env"],
                "properties": {"env": environment("Variables of the child of this caller")},
            },
            "description": "Settings of callers, with per = \"caller\": by the name of a key, or by issuer and subject of a token with a \
                space between them",
        },
        "idle": time("Stop a child that no call has used for so long; the next call starts it again"),
        "children": count("Most children of callers or sessions at once, in addition to the first one"),
        "memory": {
            "type": ["integer", "string"],
            "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$",
            "description": "Kill a child whose processes have more resident memory than this",
        },
        "cpu": {"type": "number", "exclusiveMinimum": 0, "description": "Slow a child down that uses more cores than this"},
        "processes": count("Kill a child that has more processes than this"),
        "back_off": time("First wait before a dead child is started again, 250ms unless set; it doubles up to back_off_most"),
        "back_off_most": time("Longest wait before a dead child is started again, 30s unless set"),
        "check_every": time("How long a child may be silent before it is checked that it answers"),
    })
}
