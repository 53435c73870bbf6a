//! The builder of a prompt.

use super::arguments::read;
use super::changes::Offer;
use super::entry::{Entry, listed};
use super::handler::Handler;
use super::registry::Asked;
use super::schema::Schema;
use crate::call::{IntoPrompt, Outcome, Sealer, crashed, guarded};
use attache_core::rpc::Code;
use attache_core::tool::Kind;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The builder of a prompt.
pub struct Prompt {
    entry: Entry,
}

impl Prompt {
    /// Creates a prompt. Its arguments are the fields of `A`, which are texts and may be optional.
    ///
    /// # Panics
    /// If the arguments are not an object.
    #[track_caller]
    pub fn new<A, R, H>(name: &str, description: &str, handler: H) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoPrompt,
        H: Handler<A, R>,
    {
        let schema = Schema::of::<A>(name);
        let listed = vec![("description", description.into()), ("arguments", schema.prompt_arguments())];
        let (names, handler) = (schema.names.clone(), Arc::new(handler));
        let start = move |asked: Asked<'_>, ctx, sealer: Sealer| {
            guarded(
                || {
                    let Asked::With(arguments) = asked else {
                        return Err(crashed(&"a prompt was read"));
                    };
                    // MCP server/prompts, "Error Handling": missing or invalid arguments are
                    // -32602.
                    let arguments = read::<A>(arguments, &schema, Kind::Prompt)
                        .map_err(|reason| Outcome::Rejected(Code::InvalidParams, reason))?;
                    let run = handler.run(arguments, ctx);
                    Ok(async move {
                        match run.await.into_prompt() {
                            Ok(prompt) => Outcome::Prompt(prompt),
                            Err(error) => Outcome::of_failure(error.into_failure(), false, || sealer.seal()),
                        }
                    })
                },
                crashed,
            )
        };
        Self { entry: Entry::new(name, listed, start).declare(names) }
    }

    pub(crate) fn finish(self) -> Offer {
        self.entry.finish(&[("name", None)])
    }
}

listed! { Prompt }
