//! Handlers that complete an argument while the user types it.

use super::changes::Completion;
use super::handler::{Ctx, Handler};
use crate::call::{CompletionRequest, Outcome, crashed, guarded};
use std::sync::Arc;

/// Makes a completion from a handler that suggests values for the argument being typed.
pub(crate) fn completion<H: Handler<CompletionRequest, Vec<String>>>(handler: H) -> Completion {
    let handler = Arc::new(handler);
    Completion::new(move |typed, call, _| {
        guarded(
            || {
                let run = handler.run(typed, Ctx::of(call));
                Ok(async { Outcome::Values(run.await) })
            },
            crashed,
        )
    })
}
