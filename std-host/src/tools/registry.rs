//! The tools of a server, by number and by name.

use super::arguments::read;
use super::schema::Schema;
use super::{AsyncTool, Ctx, IntoToolOutput, ToolError, ToolOutput};
use attache_core::json::{Escaped, Text};
use attache_core::tool::{Arguments, Call, Catalogue, Tool};
use core::fmt;
use core::future::{poll_fn, ready};
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::Poll;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::panic::catch_unwind;
use std::sync::Arc;

/// A tool that runs.
pub(crate) type Run = Pin<Box<dyn Future<Output = ToolOutput> + Send>>;

/// The tools, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: Vec<Entry>,
    numbers: HashMap<String, usize>,
}

struct Entry {
    name: String,
    /// Escaped.
    description: String,
    schema: Arc<Schema>,
    start: Start,
}

/// Reads the arguments and starts the closure.
type Start = Box<dyn Fn(Arguments<'_>, Ctx) -> Run + Send + Sync>;

impl Registry {
    /// # Panics
    /// See [`Server::tool`](crate::Server::tool).
    pub(crate) fn add<A, R, F>(&mut self, name: &str, description: &str, handler: F)
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoToolOutput,
        F: AsyncTool<A, R>,
    {
        let schema = Arc::new(Schema::of::<A>(name));
        let rules = Arc::clone(&schema);
        let start = move |arguments: Arguments<'_>, ctx| match read::<A>(arguments, &rules) {
            Ok(arguments) => guarded(&handler, arguments, ctx),
            Err(reason) => Box::pin(ready(ToolOutput::failed(reason))),
        };
        let entry = Entry { name: name.to_owned(), description: escaped(description), schema, start: Box::new(start) };
        assert!(entry.tool().is_some(), "tool name {name:?} must have 1 to 128 characters of A-Z a-z 0-9 _ - .");
        let taken = self.numbers.insert(name.to_owned(), self.entries.len());
        assert!(taken.is_none(), "there is already a tool {name:?}");
        self.entries.push(entry);
    }

    /// Starts the tool that is called.
    pub(crate) fn start(&self, call: Call<'_>) -> Run {
        match self.entries.get(call.tool()) {
            Some(entry) => (entry.start)(call.arguments(), Ctx::new(call.version())),
            None => Box::pin(ready(ToolError::internal(&"a call of a tool that is not there").into_output())),
        }
    }
}

impl Catalogue for Registry {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn tool(&self, index: usize) -> Option<Tool<'_>> {
        self.entries.get(index)?.tool()
    }

    fn find(&self, name: Text<'_>) -> Option<usize> {
        match name.plain() {
            Some(name) => self.numbers.get(name),
            None => self.numbers.get(&name.chars().collect::<String>()),
        }
        .copied()
    }
}

impl Entry {
    fn tool(&self) -> Option<Tool<'_>> {
        Tool::new(&self.name, Escaped::from_escaped(&self.description), &self.schema.text)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Runs the closure so that a panic in it ends this call and nothing else.
fn guarded<A, R: IntoToolOutput, F: AsyncTool<A, R>>(handler: &F, arguments: A, ctx: Ctx) -> Run {
    let panicked = |_| ToolError::internal(&"the handler panicked").into_output();
    let run = match catch_unwind(AssertUnwindSafe(|| handler.run(arguments, ctx))) {
        Ok(run) => run,
        Err(panic) => return Box::pin(ready(panicked(panic))),
    };
    // A future that panicked is never polled again, so nobody sees what state it was left in.
    let mut run = Box::pin(run);
    Box::pin(poll_fn(move |context| {
        match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context).map(IntoToolOutput::into_output))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(panicked(panic)),
        }
    }))
}

/// `text` as it may stand between the quotes of a JSON string.
pub(crate) fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}
