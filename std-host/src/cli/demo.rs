//! The demo tools `echo` and `add`.

use super::config::Endpoint;
use attache_host::{Ctx, Server, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;

/// Returns a server with the demo tools that its configuration names.
pub(super) fn server(endpoint: &Endpoint) -> Server {
    let server = Server::new(&endpoint.name, env!("CARGO_PKG_VERSION"));
    let server = match &endpoint.instructions {
        Some(text) => server.instructions(text),
        None => server,
    };
    endpoint.tools.iter().fold(server, |server, tool| match tool.as_str() {
        "echo" => server.tool("echo", "Repeat a text exactly", |echo: Echo, _: Ctx| async move { echo.text }),
        "add" => server.tool("add", "Add two integers", |add: Add, _: Ctx| async move {
            let sum = add.a.checked_add(add.b).ok_or(ToolError::user("the sum of a and b is beyond 64 bits"))?;
            Ok::<_, ToolError>(sum.to_string())
        }),
        // Unknown names were refused with the configuration.
        _ => server,
    })
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    /// what to repeat
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Add {
    /// the first number
    a: i64,
    /// the second number
    b: i64,
}
