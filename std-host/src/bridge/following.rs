//! A request that runs at an upstream: waits for its result, and forwards what comes before it.

use super::json::text;
use super::questions::Dialogue;
use super::upstream::Upstream;
use crate::backend::Call;
use crate::client::{Call as Running, Error, Event, RawJson};
use attache_core::tool::Level;

/// Waits for the result of a request, and forwards what comes before it.
pub(super) async fn followed(upstream: &Upstream, call: &Call, mut running: Running) -> Result<RawJson, Error> {
    let mut dialogue = Dialogue::new(upstream, call);
    loop {
        let event = tokio::select! {
            // In this order, so that questions that come together are asked together.
            biased;
            event = running.next() => event,
            () = dialogue.step() => continue,
        };
        match event {
            // In boxes, because a future is as large as its largest path.
            Event::Progress(params) => Box::pin(progress(call, &params)).await,
            Event::Log(params) => Box::pin(log(call, &params)).await,
            Event::Question(question) => dialogue.add(question),
            Event::Done(done) => return done,
        }
    }
}

async fn progress(call: &Call, params: &RawJson) {
    let number = |name: &str| params.member(name).and_then(|value| value.read::<f64>().ok());
    if let Some(progress) = number("progress") {
        let message = text(params, "message");
        call.progress(progress, number("total"), message.as_deref()).await;
    }
}

async fn log(call: &Call, params: &RawJson) {
    let level = params.member("level").and_then(|level| Level::named(level.value().text()?));
    if let (Some(level), Some(data)) = (level, params.member("data")) {
        call.log(level, text(params, "logger").as_deref(), &data).await;
    }
}
