//! Tools that are added and removed while the server runs: one for each connected sensor. Run it
//! and point a client that subscribes to changes at `http://127.0.0.1:8080/mcp`.

use attache_host::{AddError, Changes, Ctx, NoArgs, OrUser, Server, Tool, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Sensor {
    /// where it is, such as `cellar`
    place: String,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = Server::new("sensors", "1.0")
        .subscriptions()
        .tool("plug", "Plug a sensor in", async |sensor: Sensor, ctx: Ctx| {
            plug(ctx.changes(), &sensor.place).or_user("there is a sensor of that place already")?;
            Ok("plugged in")
        })
        .tool("unplug", "Unplug a sensor", async |sensor: Sensor, ctx: Ctx| {
            match ctx.changes().remove_tool(&name(&sensor.place)) {
                true => Ok("unplugged"),
                false => Err(ToolError::user("there is no sensor of that place")),
            }
        });
    // The program uses the same handle for its own changes.
    plug(&server.changes(), "attic").expect("the first of its name");
    let router: axum::Router = server.routes();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, router).await
}

/// Adds the tool of a sensor, and notifies subscribers.
fn plug(changes: &Changes, place: &str) -> Result<(), AddError> {
    let words = format!("Temperature in the {place}, in degrees Celsius");
    changes.add_tool(Tool::new(&name(place), &words, |_: NoArgs, _: Ctx| async { "20.5" }).read_only())
}

/// Returns a valid tool name for any place.
fn name(place: &str) -> String {
    let plain = place.chars().filter(char::is_ascii_alphanumeric).take(100);
    format!("temperature_{}", plain.collect::<String>())
}
