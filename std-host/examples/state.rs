//! Handlers that share the program's own values, in three ways. Run it and point a client at
//! `http://127.0.0.1:8080/mcp`.

use attache_host::prelude::*;
use core::sync::atomic::{AtomicU32, Ordering};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::watch;

#[derive(Deserialize, JsonSchema)]
struct SetTarget {
    /// degrees Celsius, from 5 to 30
    #[schemars(range(min = 5, max = 30))]
    celsius: f64,
}

// Methods of one type, declared with their hints.
tools! { mod tools for Thermostat {
    /// Set the target temperature
    #[idempotent] async fn set_target(SetTarget);
    /// The target temperature in degrees Celsius
    #[read_only] async fn target();
} }

struct Thermostat {
    target: watch::Sender<f64>,
}

impl Thermostat {
    async fn set_target(&self, wanted: SetTarget) -> String {
        self.target.send_replace(wanted.celsius);
        format!("target is {} °C", wanted.celsius)
    }

    async fn target(&self) -> f64 {
        *self.target.borrow()
    }

    async fn watched(self: Arc<Self>, _: ResourceRequest, _: Ctx) -> String {
        self.target.borrow().to_string()
    }
}

/// How often somebody has looked at the thermostat.
#[derive(Default)]
struct Looks(AtomicU32);

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let thermostat = Arc::new(Thermostat { target: watch::Sender::new(20.0) });
    let server = Server::new("thermostat", "1.0")
        .instructions("Controls the heating of one room.")
        .with_tools(tools::of(&thermostat))
        // A method as one handler.
        .with_resource(Resource::new(
            "thermostat://target",
            "target",
            "text/plain",
            with(&thermostat, Thermostat::watched),
        ))
        // A value that handlers find by its type.
        .state(Looks::default())
        .tool("look", "Look at the thermostat", async |_: NoArgs, ctx: Ctx| {
            Ok(ctx.state::<Looks>()?.0.fetch_add(1, Ordering::Relaxed) + 1)
        });
    let router: axum::Router = server.routes();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, router).await
}
