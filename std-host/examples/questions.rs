//! A tool that asks the user before it acts. Run it and point a client that supports elicitation at
//! `http://127.0.0.1:8080/mcp`.

use attache_host::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Rack {
    /// number of the rack
    number: u8,
}

/// The form that the user fills in.
#[derive(Deserialize, JsonSchema)]
struct Confirm {
    /// cut the power now
    sure: bool,
    /// who needs to know why
    reason: Option<String>,
}

async fn cut_power(rack: Rack, ctx: Ctx) -> Result<String, ToolError> {
    // The first call ends here with the question. The client repeats the call with the answer.
    let answer = ctx.elicit_as::<Confirm>("confirm", &format!("Really cut the power of rack {}?", rack.number))?;
    let confirmed = answer.filter(|confirm| confirm.sure).or_user("The user did not agree.")?;
    let reason = confirmed.reason.unwrap_or_else(|| "no reason given".to_owned());
    Ok(format!("Rack {} is dark now ({reason}).", rack.number))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = Server::new("power", "1.0").tool("cut_power", "Cut the power of one rack", cut_power);
    let router: axum::Router = server.routes();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, router).await
}
