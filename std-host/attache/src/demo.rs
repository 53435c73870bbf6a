//! The demo tools `echo` and `add`.

use super::config::ServerConfig;
use attache_host::{Ctx, Server, ServerBuilder, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;

/// Creates a server with the demo tools, `echo` and `add`, that its configuration names.
pub fn demo(config: &ServerConfig) -> ServerBuilder {
    let server = Server::new(config.name(), env!("CARGO_PKG_VERSION"));
    config.tools.iter().fold(server, |server, tool| match tool.as_str() {
        "echo" => server.tool("echo", "Repeat a text exactly", |echo: Echo, _: Ctx| async move { echo.text }),
        "add" => server.tool("add", "Add two integers", |add: Add, _: Ctx| async move {
            let sum = add.a.checked_add(add.b).ok_or(ToolError::user("the sum of a and b is beyond 64 bits"))?;
            Ok(sum.to_string())
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
