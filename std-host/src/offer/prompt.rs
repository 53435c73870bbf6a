//! The builder of a prompt.

use super::add_error::AddError;
use super::arguments::read;
use super::changes::Offer;
use super::completion::completion;
use super::definition::Asked;
use super::entry::{Entry, listed};
use super::handler::Handler;
use super::schema::Schema;
use crate::call::{CompletionRequest, IntoPrompt, Outcome, Sealer, crashed, guarded};
use attache_core::rpc::Code;
use attache_core::tool::Kind;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The builder of a prompt: a text or messages that the user puts before the model.
///
/// ```
/// use attache_host::{Ctx, Prompt, Server};
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Review {
///     /// the code to review
///     code: String,
/// }
///
/// let review = Prompt::new("review", "Review code", async |review: Review, _: Ctx| {
///     format!("Review this code, and name the worst fault first:\n{}", review.code)
/// });
/// let server = Server::new("reviews", "1.0").with_prompt(review.title("Code review"));
/// ```
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

    /// Completes an argument while the user types it. `handler` gets the typed text and returns
    /// possible values, best first. At most a hundred are sent.
    ///
    /// ```
    /// use attache_host::{CompletionRequest, Ctx, Prompt};
    /// use schemars::JsonSchema;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Trip {
    ///     /// where to go
    ///     city: String,
    /// }
    ///
    /// let prompt = Prompt::new("trip", "Plan a trip", async |trip: Trip, _: Ctx| format!("Plan a trip to {}", trip.city))
    ///     .complete("city", async |typed: CompletionRequest, _: Ctx| {
    ///         let cities = ["Berlin", "Bern", "Bilbao"];
    ///         cities.into_iter().filter(|city| city.starts_with(typed.value())).map(str::to_owned).collect()
    ///     });
    /// ```
    ///
    /// The prompt cannot be added if it has no such argument.
    #[must_use]
    pub fn complete<H: Handler<CompletionRequest, Vec<String>>>(mut self, argument: &str, handler: H) -> Self {
        let known = self.entry.arguments().is_none_or(|names| names.iter().any(|name| name == argument));
        self.entry.check(known, |name| format!("prompt {name:?} has no argument {argument:?}"));
        self.entry.complete(argument, completion(handler));
        self
    }

    pub(crate) fn finish(self) -> Result<Offer, AddError> {
        self.entry.finish(&[("name", None)])
    }
}

listed! { Prompt }
